//! A company's certificate: what the settings name is trusted by real clients that speak TLS with a real server, while
//! the image is built and in the container, also where the base ends with a plain user. And without it they refuse.

#![allow(clippy::unwrap_used)] // What cannot be set up fails the test, which is what it is for.

use std::sync::Arc;

use gemra_core::failure::Code;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tests::engine::BASE;
use tests::engine::desk::{Desk, fact};
use tests::engine::lab::Lab;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// A server on the loopback, whose certificate a throwaway authority has signed. It serves as long as the runtime lives.
struct Server {
    port: u16,
    /// The authority's certificate.
    authority: String,
}

impl Server {
    async fn start() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, format!("Throwaway {}", uuid::Uuid::new_v4()));
        let authority = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        let own_key = KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let own = CertificateParams::new(names).unwrap().signed_by(&own_key, &issuer).unwrap();
        let secret = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(own_key.serialize_der()));
        let config =
            ServerConfig::builder().with_no_client_auth().with_single_cert(vec![own.der().clone()], secret).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // A client that does not trust us goes away here.
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let _ = stream.read(&mut [0; 4096]).await;
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\nConnection: close\r\n\r\nhello over TLS";
                    let _ = stream.write_all(answer).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        Self { port, authority }
    }

    /// Shell that asks with curl, and with node in both of its ways.
    fn asked_by_all(&self) -> [String; 3] {
        let port = self.port;
        [
            format!("curl -fsS https://localhost:{port}/"),
            format!("node -e \"require('https').get('https://127.0.0.1:{port}/', a => a.pipe(process.stdout))\""),
            format!("node -e \"fetch('https://localhost:{port}/').then(a => a.text()).then(t => console.log(t))\""),
        ]
    }

    /// Shell in which all of them get their answer.
    fn trusted(&self) -> String {
        self.asked_by_all().map(|ask| format!("{ask} | grep -q 'hello over TLS' && ")).concat()
            + "echo all three trust it"
    }

    /// Shell in which none of them does, though the server is there.
    fn refused(&self) -> String {
        let port = self.port;
        let there = format!("curl -fsSk https://localhost:{port}/ | grep -q 'hello over TLS' || exit 5; ");
        let asked = self.asked_by_all().map(|ask| format!("if {ask}; then exit 6; fi; ")).concat();
        format!("{there}{asked}echo all three refuse it")
    }
}

/// A base with curl that ends with a plain user.
async fn base(lab: &Lab) -> String {
    let text = format!(
        "FROM {BASE}\nUSER root\nRUN apt-get update && apt-get install -y --no-install-recommends curl \
         && rm -rf /var/lib/apt/lists/*\nUSER node\n"
    );
    lab.image(lab.ingredients(lab.source(&text), (1000, 1000))).await.expect("the base builds").tag
}

#[tokio::test]
async fn what_the_settings_name_is_trusted_by_the_build_and_by_the_agent() {
    let lab = Lab::open().await;
    let (base, server, other) = (base(&lab).await, Server::start().await, Server::start().await);
    // The second stage is the first one's child by number, beside a stage that begins from nothing.
    let instructions = format!(
        "ARG BASE_IMAGE={base}\nFROM ${{BASE_IMAGE}}\nRUN test \"$(id -un)\" = node\nRUN {trusted}\nRUN echo handed on >/tmp/handed-on\n\
         FROM scratch\nFROM {base}\nCOPY --from=0 /tmp/handed-on /handed-on\n\
         RUN test \"$(id -un)\" = node && grep -q 'handed on' /handed-on\nRUN {trusted}",
        trusted = server.trusted()
    );
    let script = format!("{}\n{}\n", server.trusted(), other.refused());
    let desk = Desk::new().certificate(&server.authority).dockerfile(&instructions, &script);
    let mut moving = desk.open().await;
    moving.enter().await;
    let said = moving.said();
    assert!(said.contains("all three trust it"), "curl and node get their answer inside: {said}");
    assert!(said.contains("all three refuse it"), "and another authority's server stays a stranger: {said}");
    moving.quit().await;
}

#[tokio::test]
async fn what_the_settings_do_not_name_is_refused_by_the_build_and_by_the_agent() {
    let lab = Lab::open().await;
    let (base, server) = (base(&lab).await, Server::start().await);
    let instructions = format!("FROM {base}\nRUN {}", server.refused());
    let mut moving = Desk::new().dockerfile(&instructions, &server.refused()).open().await;
    moving.enter().await;
    let said = moving.said();
    assert!(said.contains("all three refuse it"), "nobody trusts the server inside: {said}");
    moving.quit().await;

    let instructions = format!("FROM {base}\nRUN {}", server.trusted());
    let failure = Desk::new().dockerfile(&instructions, "true").open().await.refused().await;
    assert_eq!(failure.code, Code::BuildFailed, "a build that needs it fails: {failure:?}");
    let log = failure.detail.unwrap_or_default();
    assert!(log.to_lowercase().contains("certificate"), "and its log says for what: {log}");
}

#[tokio::test]
async fn what_the_settings_name_is_trusted_in_an_image_by_its_name() {
    let lab = Lab::open().await;
    let (base, server) = (base(&lab).await, Server::start().await);
    // Made without any certificate, and then named as one that somebody else has made.
    let mut first = Desk::new().dockerfile(&format!("FROM {base}"), &server.refused()).open().await;
    first.enter().await;
    let named = first.container().await.config.unwrap().image.unwrap();
    first.quit().await;

    let desk = Desk::new().certificate(&server.authority).file("at-start.sh", &server.trusted());
    let mut moving = desk.wishing(|wishes| wishes.image = Some(named.clone())).open().await;
    let view = moving.enter().await;
    let said = moving.said();
    assert!(said.contains("all three trust it"), "curl and node get their answer inside: {said}");
    assert!(fact(&view, "Image").contains(&named), "the image is still named: {:?}", view.facts);
    moving.quit().await;
}
