//! What an engine's networks have to do with this machine's: whose the "host" network is, and whether this machine has
//! an address in the others. It asks no engine anything, and makes no network.

use bollard::models::SystemInfo;

use super::About;

/// Systems that call themselves so, or whose machine has such a name, run in a virtual machine of this one.
const SYSTEMS: &[&str] = &["Docker Desktop", "OrbStack", "Rancher Desktop"];
const NAMES: &[&str] = &["colima", "lima-", "orbstack", "podman-machine", "rancher-desktop"];

/// Whose network a container has that is on the engine's "host" network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostNetwork {
    /// This machine's: its loopback is the container's.
    Ours,
    /// One that an engine of an ordinary user's has made for itself on this machine.
    Engines,
    /// That of a virtual machine on this one, out of which the engine leads by a name.
    Machines,
    /// Another machine's.
    Elsewhere,
}

/// Whose the "host" network is. `remote` is what the engine's address says.
pub fn host_network(about: &About, remote: bool) -> HostNetwork {
    if remote {
        HostNetwork::Elsewhere
    } else if about.virtual_machine {
        HostNetwork::Machines
    } else if about.rootless && !about.podman {
        HostNetwork::Engines
    } else {
        HostNetwork::Ours
    }
}

/// True where this machine has an address in the engine's networks. A rootless engine's are not this machine's.
pub(crate) fn has_gateways(about: &About) -> bool {
    !about.rootless && !about.virtual_machine
}

/// True where it has one in networks without a way out, too: Podman gives it none there.
pub(crate) fn has_internal_gateways(about: &About) -> bool {
    has_gateways(about) && !about.podman
}

/// The name of the network that containers have who ask for a bridge.
pub(crate) fn usual_network(about: &About) -> &'static str {
    if about.podman { "podman" } else { "bridge" }
}

/// True where containers live in a virtual machine, as far as the engine tells. `kernel` is this machine's own, where
/// containers share it at all: another one is another machine's.
pub(in super::super) fn is_virtual(info: &SystemInfo, kernel: Option<&str>) -> bool {
    let Some(kernel) = kernel else { return true };
    let system = info.operating_system.as_deref().unwrap_or_default();
    let name = info.name.as_deref().unwrap_or_default().to_lowercase();
    let theirs = info.kernel_version.as_deref().filter(|version| !version.is_empty() && !kernel.is_empty());
    SYSTEMS.iter().any(|known| system.contains(known))
        || NAMES.iter().any(|known| name.starts_with(known))
        || theirs.is_some_and(|theirs| plain(theirs) != plain(kernel))
}

/// This machine's kernel, where it is one that containers could share.
pub(in super::super) fn kernel() -> Option<String> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    // Where not even this is told, names are all there is to go by.
    Some(std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned())
}

/// A kernel's version as Docker says it, which writes three numbers where the kernel itself may have two.
fn plain(version: &str) -> String {
    let end = version.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(version.len());
    let (numbers, flavour) = version.split_at(end);
    let mut numbers: Vec<&str> = numbers.split('.').filter(|number| !number.is_empty()).collect();
    while numbers.len() < 3 {
        numbers.push("0");
    }
    format!("{}{flavour}", numbers.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An engine of each kind: its name, whether it is Podman, rootless, in a virtual machine, and elsewhere.
    type Kind = (&'static str, bool, bool, bool, bool);

    #[test]
    fn whose_the_host_network_is_and_where_this_machine_has_addresses() {
        use HostNetwork::{Elsewhere, Engines, Machines, Ours};
        let cases: [(Kind, HostNetwork, bool, bool, &str); 10] = [
            (("Docker", false, false, false, false), Ours, true, true, "bridge"),
            (("rootless Docker", false, true, false, false), Engines, false, false, "bridge"),
            (("Podman", true, false, false, false), Ours, true, false, "podman"),
            (("rootless Podman", true, true, false, false), Ours, false, false, "podman"),
            (
                ("Docker Desktop, OrbStack, Colima, Rancher", false, false, true, false),
                Machines,
                false,
                false,
                "bridge",
            ),
            (("a machine of Podman's", true, true, true, false), Machines, false, false, "podman"),
            (("Docker elsewhere", false, false, false, true), Elsewhere, true, true, "bridge"),
            (("rootless Docker elsewhere", false, true, false, true), Elsewhere, false, false, "bridge"),
            (("Podman elsewhere", true, false, true, true), Elsewhere, false, false, "podman"),
            (("Docker Desktop elsewhere", false, false, true, true), Elsewhere, false, false, "bridge"),
        ];
        for ((name, podman, rootless, virtual_machine, remote), network, gateways, internal, usual) in cases {
            let about = About { podman, virtual_machine, rootless, ..About::default() };
            assert_eq!(host_network(&about, remote), network, "{name}: whose its host network is");
            assert_eq!(has_gateways(&about), gateways, "{name}: an address in its networks");
            assert_eq!(has_internal_gateways(&about), internal, "{name}: and in those without a way out");
            assert_eq!(usual_network(&about), usual, "{name}: its bridge");
        }
    }

    #[test]
    fn a_virtual_machine_is_known_by_its_kernel_or_its_name() {
        let ours = Some("6.1.0-18-amd64");
        let cases = [
            ("Debian GNU/Linux 12", "box", "6.1.0-18-amd64", ours, false),
            ("Debian GNU/Linux 12", "box", "", ours, false),
            ("Ubuntu 24.04 LTS", "box", "6.8.0-31-generic", ours, true),
            // The engine's machine may have the very kernel of this one.
            ("Docker Desktop", "docker-desktop", "6.1.0-18-amd64", ours, true),
            ("OrbStack", "orbstack", "6.1.0-18-amd64", ours, true),
            ("Rancher Desktop WSL Distribution", "box", "6.1.0-18-amd64", ours, true),
            ("Ubuntu 24.04 LTS", "colima-work", "6.1.0-18-amd64", ours, true),
            ("Alpine Linux v3.20", "lima-rancher-desktop", "6.1.0-18-amd64", ours, true),
            // Docker writes a number that the kernel leaves out.
            ("Debian GNU/Linux 12", "box", "6.12.0-rc1", Some("6.12-rc1"), false),
            ("Debian GNU/Linux 12", "box", "6.12.1-rc1", Some("6.12-rc1"), true),
            ("Debian GNU/Linux 12", "box", "6.1.0-18-amd64", None, true),
        ];
        for (system, name, theirs, kernel, expected) in cases {
            let info = SystemInfo {
                operating_system: Some(system.to_owned()),
                name: Some(name.to_owned()),
                kernel_version: Some(theirs.to_owned()),
                ..SystemInfo::default()
            };
            assert_eq!(is_virtual(&info, kernel), expected, "{system} at {name} with {theirs}, here {kernel:?}");
        }
    }
}
