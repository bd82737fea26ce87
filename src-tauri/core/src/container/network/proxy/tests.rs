//! The proxy as clients of every kind meet it: good ones, ones that are not allowed, and hostile ones.

use std::sync::Mutex;

use tokio::net::TcpListener;

use super::*;

/// A server that notes what it is sent, and answers.
struct Server {
    port: u16,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Server {
    async fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let noted = Arc::clone(&noted);
                tokio::spawn(async move {
                    let mut piece = [0; 4096];
                    let mut mine = Vec::new();
                    // Until the word that ends every good request here.
                    while !mine.ends_with(b"end") {
                        match stream.read(&mut piece).await {
                            Ok(0) | Err(_) => break,
                            Ok(count) => {
                                mine.extend_from_slice(&piece[..count]);
                                noted.lock().unwrap().extend_from_slice(&piece[..count]);
                            }
                        }
                    }
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        Self { port, seen }
    }

    fn seen(&self) -> String {
        String::from_utf8(self.seen.lock().unwrap().clone()).unwrap()
    }
}

/// What the proxy says to these bytes, and what it refused. Every name is found at 127.0.0.1.
async fn ask(entries: &[String], bytes: &[u8]) -> (String, Vec<String>) {
    ask_through(Upstream::default(), entries, bytes).await
}

async fn ask_through(upstream: Upstream, entries: &[String], bytes: &[u8]) -> (String, Vec<String>) {
    let entries = entries.to_vec();
    let refused = Arc::new(Mutex::new(Vec::new()));
    let (noted, also) = (Arc::clone(&refused), Arc::clone(&refused));
    let rules = Rules {
        allowed: Arc::new(move || Allowed::of(&entries)),
        refused: Arc::new(move |target, _| noted.lock().unwrap().push(target.to_string())),
        malformed: Arc::new(move |status| also.lock().unwrap().push(format!("malformed: {status}"))),
        resolve: Arc::new(|_, port| Box::pin(async move { Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))]) })),
        upstream,
    };
    let (mut client, theirs) = tokio::io::duplex(64 * 1024);
    let served = tokio::spawn(serve(rules, Box::new(theirs)));
    client.write_all(bytes).await.unwrap();
    let mut said = Vec::new();
    let reading = client.read_to_end(&mut said);
    tokio::time::timeout(Duration::from_mins(1), reading).await.expect("the proxy ends what it serves").unwrap();
    served.abort();
    let refused = refused.lock().unwrap().clone();
    (String::from_utf8(said).unwrap(), refused)
}

#[tokio::test]
async fn tunnels_lead_to_allowed_names_alone() {
    let server = Server::start("hello").await;
    let entry = [format!("api.local:{}", server.port)];
    let connect = |host: &str| format!("CONNECT {host} HTTP/1.1\r\n\r\nend");
    let (said, refused) = ask(&entry, connect(&format!("api.local:{}", server.port)).as_bytes()).await;
    assert!(said.starts_with("HTTP/1.1 200 ") && said.ends_with("hello"), "a tunnel, early bytes included: {said}");
    assert!(refused.is_empty(), "nothing was refused: {refused:?}");
    assert_eq!(server.seen(), "end", "what came with the request's head is not lost");

    let others = [
        format!("other.local:{}", server.port),
        format!("127.0.0.1:{}", server.port),
        format!("localhost:{}", server.port),
        "api.local:22".to_owned(),
    ];
    for other in others {
        let (said, refused) = ask(&entry, connect(&other).as_bytes()).await;
        assert!(said.starts_with("HTTP/1.1 403 ") && said.contains(&other), "it is told what and why: {said}");
        assert_eq!(refused, [other], "and noted");
    }
}

#[tokio::test]
async fn a_name_that_leads_back_is_refused_unless_its_port_is_named() {
    let (said, refused) = ask(&["example.org".to_owned()], b"CONNECT example.org:443 HTTP/1.1\r\n\r\n").await;
    assert!(
        said.starts_with("HTTP/1.1 403 ") && said.contains("leads to this machine"),
        "rebinding is refused: {said}"
    );
    assert_eq!(refused, ["example.org:443"]);
    let (said, _) = ask(&[], b"CONNECT github.com:443 HTTP/1.1\r\n\r\n").await;
    assert!(said.starts_with("HTTP/1.1 403 "), "also for the usual names: {said}");
}

#[tokio::test]
async fn where_this_machine_has_a_proxy_the_way_leads_through_it() {
    let proxy = Server::start("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
    let variables =
        ["http_proxy", "https_proxy"].map(|name| (name.to_owned(), format!("http://127.0.0.1:{}", proxy.port)));
    let upstream = Upstream::of(&variables.into()).unwrap();
    let plain = b"POST http://github.com/ HTTP/1.1\r\nContent-Length: 3\r\n\r\nend";
    let (said, _) = ask_through(upstream.clone(), &[], plain).await;
    assert!(said.starts_with("HTTP/1.1 407 "), "its answer is the client's: {said}");
    let seen = proxy.seen();
    assert!(seen.starts_with("POST http://github.com:80/ HTTP/1.1\r\n"), "it is told the whole target: {seen}");
    let (said, refused) = ask_through(upstream, &[], b"CONNECT stranger.example:443 HTTP/1.1\r\n\r\n").await;
    assert!(said.starts_with("HTTP/1.1 403 "), "and yet the list holds: {said}");
    assert_eq!((refused.len(), proxy.seen()), (1, seen), "it has heard nothing of that");
}

#[tokio::test]
async fn a_plain_request_is_one_request() {
    let server = Server::start("HTTP/1.1 204 No Content\r\n\r\n").await;
    let entry = [format!("api.local:{}", server.port)];
    let authority = format!("api.local:{}", server.port);
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: elsewhere\r\n\r\n";
    let request =
        format!("POST http://{authority}/path HTTP/1.1\r\nHost: wrong\r\nContent-Length: 5\r\n\r\n12end{smuggled}");
    let (said, refused) = ask(&entry, request.as_bytes()).await;
    assert!(said.starts_with("HTTP/1.1 204 ") && refused.is_empty(), "it is answered: {said}");
    let seen = server.seen();
    assert!(seen.starts_with("POST /path HTTP/1.1\r\n") && seen.contains(&format!("Host: {authority}\r\n")), "{seen}");
    assert!(seen.ends_with("12end") && !seen.contains("smuggled"), "what follows the body is nobody's: {seen}");
}

#[tokio::test]
async fn hostile_requests_get_their_status_and_lead_nowhere() {
    let long = format!("CONNECT example.org:443 HTTP/1.1\r\nA: {}\r\n\r\n", "a".repeat(LONGEST));
    let endless = "a".repeat(3 * LONGEST);
    let cases = [
        (long.as_str(), "431"),
        (endless.as_str(), "431"),
        ("BREW http://github.com/ HTTP/1.1\r\n\r\n", "405"),
        ("GET http://github.com/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "411"),
        ("GET http://github.com/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: github.com\r\n\r\n", "400"),
        ("CONNECT github.com:443 HTTP/3\r\n\r\n", "505"),
        ("CONNECT 2130706433:443 HTTP/1.1\r\n\r\n", "400"),
    ];
    for (request, status) in cases {
        let (said, noted) = ask(&[], request.as_bytes()).await;
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{status} for {request:.100}: {said:.100}");
        let told = noted.len() == 1 && noted[0].starts_with(&format!("malformed: {status} "));
        assert!(told, "and it is told of: {noted:?}");
    }
}
