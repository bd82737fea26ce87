//! How engines are asked for graphics cards. It asks no engine anything, and knows no card.

use bollard::models::{DeviceRequest, HostConfig};

use super::version;
use crate::container::engine::About;

/// The first Podman whose API takes graphics cards, and then by their names alone.
const TAKES_CARDS: (u32, u32) = (5, 4);

/// What the cards are called of which machines keep a description, in `/etc/cdi` or `/var/run/cdi`.
const CARDS: &str = "nvidia.com/gpu";

/// Podman knows no number of cards, and passes over whatever has not the name of one.
pub(super) fn name_cards(about: &About, host: &mut HostConfig) {
    let wished = host.device_requests.take().unwrap_or_default();
    if !gives_cards(about) {
        return;
    }
    let named = |request: DeviceRequest| {
        let of_cards = request.capabilities.as_ref().is_some_and(|all| all.iter().flatten().any(|one| one == "gpu"));
        if !of_cards {
            return request;
        }
        let ids = match request.count {
            Some(count) if count >= 0 => (0..count).map(|number| format!("{CARDS}={number}")).collect(),
            _ => vec![format!("{CARDS}=all")],
        };
        DeviceRequest { driver: Some("cdi".to_owned()), device_ids: Some(ids), ..DeviceRequest::default() }
    };
    if !wished.is_empty() {
        host.device_requests = Some(wished.into_iter().map(named).collect());
    }
}

/// True where a wish for graphics cards is heard.
pub fn gives_cards(about: &About) -> bool {
    !about.podman || version(about) >= TAKES_CARDS
}

/// What comes of a wish for graphics cards, where that is not the usual.
pub fn note_on_cards(about: &About) -> Option<String> {
    if !gives_cards(about) {
        let (major, minor) = TAKES_CARDS;
        return Some(format!("No graphics card is inside: Podman before {major}.{minor} takes no such wish"));
    }
    about.podman.then(|| {
        format!("Podman gives the cards that /etc/cdi describes as {CARDS}; nvidia-ctk cdi generate writes that")
    })
}

#[cfg(test)]
mod tests {
    use bollard::models::ContainerCreateBody;

    use super::*;
    use crate::container::engine::quirks::adapt;

    fn podman(version: &str) -> About {
        About { name: format!("Podman {version}"), podman: true, ..About::default() }
    }

    #[test]
    fn graphics_cards_have_names_at_podman() {
        let request = |count| DeviceRequest {
            count: Some(count),
            capabilities: Some(vec![vec!["gpu".to_owned()]]),
            ..DeviceRequest::default()
        };
        let named = |names: &[&str]| {
            let ids = names.iter().map(|&name| name.to_owned()).collect();
            let cdi = Some("cdi".to_owned());
            Some(vec![DeviceRequest { driver: cdi, device_ids: Some(ids), ..DeviceRequest::default() }])
        };
        let docker = || About { name: "Docker 20.10.24".to_owned(), ..About::default() };
        let cases = [
            (docker(), -1, Some(vec![request(-1)])),
            (docker(), 2, Some(vec![request(2)])),
            (podman("4.3.1"), -1, None),
            (podman("5.3.2"), 1, None),
            (podman("5.4.0"), -1, named(&["nvidia.com/gpu=all"])),
            (podman("6.0.0"), 2, named(&["nvidia.com/gpu=0", "nvidia.com/gpu=1"])),
        ];
        for (about, count, expected) in cases {
            let mut body = ContainerCreateBody::default();
            body.host_config.get_or_insert_default().device_requests = Some(vec![request(count)]);
            adapt(&about, &mut body, "1000:1000");
            let sent = body.host_config.and_then(|host| host.device_requests);
            assert_eq!(sent, expected, "{count} at {}", about.name);
            assert_eq!(
                sent.is_some(),
                gives_cards(&about),
                "what is not sent is known not to be given: {}",
                about.name
            );
            let note = note_on_cards(&about).unwrap_or_default();
            let words = match (about.podman, sent.is_some()) {
                (false, _) => "",
                (true, true) => "nvidia-ctk",
                (true, false) => "No graphics card is inside",
            };
            assert!(note.contains(words) && note.is_empty() == words.is_empty(), "{}: {note:?}", about.name);
        }
    }
}
