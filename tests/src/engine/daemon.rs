//! The private engine of a test run: a Docker daemon, or Podman's API service. Started with sockets in a temp folder and
//! data under `target/engine`, so that images are built once, and ended with the process that started it, however that
//! ends.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::time::{Duration, Instant};

use super::Kind;
use crate::spawn;

mod rootless;

pub(super) use rootless::USER;

/// How long another suite may hold the data folder.
const TURN: Duration = Duration::from_mins(20);
/// How long a daemon may take to answer. It needs about two seconds.
const READY: Duration = Duration::from_mins(2);

/// Holds the engine for as long as its stdin is open. Only one may use a data folder, hence the lock; a test process
/// cannot run code when it is killed, hence a second process.
const KEEPER: &str = r#"
set -eu
lock="$1"; data="$2"; run="$3"; log="$4"; kind="$5"; shift 5
PATH="$PATH:/usr/sbin:/sbin"
exec 9>"$lock"
flock 9
: >"$log"
echo locked
engines=
case "$kind" in
docker)
    # Of networks that a run which was killed was just making, it keeps too little to start again.
    rm -rf "$data/network"
    dockerd --host "unix://$run/docker.sock" --host "unix://$run/open.sock" --data-root "$data" \
        --exec-root "$run/exec" --pidfile "$run/docker.pid" --shutdown-timeout 3 "$@" </dev/null >"$log" 2>&1 9>&- &
    engines=$!
    ;;
podman)
    mkdir -p "$data"
    # What watches its containers notes an end by memory where it was started.
    cd "$data"
    # Only what is not the machine's usual: nothing of this may touch another Podman's state. Locks in files, because
    # those in shared memory are all Podmans' together.
    {
        echo '[engine]'
        echo "hooks_dir = [\"$data/hooks\"]"
        echo 'cgroup_manager = "cgroupfs"'
        echo 'events_logger = "file"'
        echo 'lock_type = "file"'
        echo "tmp_dir = \"$data/tmp\""
        echo "volume_path = \"$data/volumes\""
        # Its usual one refuses the older cgroups.
        if command -v runc >/dev/null; then echo 'runtime = "runc"'; fi
        echo '[network]'
        echo "network_config_dir = \"$data/networks\""
    } >"$data/containers.conf"
    export CONTAINERS_CONF="$data/containers.conf"
    # Docker takes a registry on the loopback without TLS; Podman where it is told to.
    {
        cat /etc/containers/registries.conf 2>/dev/null || true
        printf '\n[[registry]]\nlocation = "127.0.0.1"\ninsecure = true\n'
    } >"$data/registries.conf"
    export CONTAINERS_REGISTRIES_CONF="$data/registries.conf"
    # It asks for more open files and processes than some machines allow even to root, where no container would start:
    # there they get what is enough. What a test wishes for stays.
    mkdir -p "$data/hooks"
    rm -f "$data/hooks/limits.json"
    if ! (ulimit -n 1048576) 2>/dev/null; then
        files=$(awk '/^Max open files/ { print $5 }' /proc/self/limits)
        # Further commands in a container are not under hooks.
        printf '[containers]\ndefault_ulimits = ["nofile=%s:%s", "nproc=4096:4096"]\n' "$files" "$files" \
            >>"$data/containers.conf"
        edit="s/(NOFILE\",\"hard\":)1048576(,\"soft\":)1048576/\\1$files\\2$files/"
        edit="$edit;s/(NPROC\",\"hard\":)[0-9]+(,\"soft\":)[0-9]+/\\14096\\24096/"
        edit=$(printf %s "$edit" | sed 's/[\\"]/\\&/g')
        printf '{"version":"1.0.0","hook":{"path":"/bin/sed","args":["sed","-E","%s"]},"when":{"always":true},"stages":["precreate"]}' \
            "$edit" >"$data/hooks/limits.json"
    fi
    # What a run before has left there says that its containers run.
    rm -rf "$data/tmp"
    # The kernel's overlays, else those in user space, else copies.
    for driver in overlay "overlay --storage-opt overlay.mount_program=/usr/bin/fuse-overlayfs" vfs; do
        storage="--root $data/root --runroot $data/run --storage-driver $driver"
        # shellcheck disable=SC2086
        if podman $storage info >>"$log" 2>&1 9>&-; then break; fi
    done
    podman $storage rm --all --force --time 0 </dev/null >>"$log" 2>&1 9>&- || true
    # Those that were to prepare a volume are gone with the others, and what they prepared would count as done.
    podman $storage volume rm --all --force </dev/null >>"$log" 2>&1 9>&- || true
    # Each listens on one socket; both work on the same data.
    for name in docker open; do
        podman $storage system service --time 0 "unix://$run/$name.sock" </dev/null >>"$log" 2>&1 9>&- &
        engines="$engines $!"
    done
    ;;
*-rootless)
    mkdir -p "$data"
    rm -rf "$data/docker/network"
    # Its processes die together, whatever they have left behind, and its mounts with them.
    unshare --mount --pid --fork --kill-child --mount-proc sh -c "$ROOTLESS" rootless "$data" "$run" "$kind" \
        </dev/null >"$log" 2>&1 9>&- &
    engines=$!
    ;;
esac
cat >/dev/null
if [ "$kind" = podman ]; then
    podman $storage rm --all --force --time 0 </dev/null >>"$log" 2>&1 || true
fi
# It does not listen to less.
case "$kind" in *-rootless) kill -KILL $engines 2>/dev/null || true ;; esac
kill $engines 2>/dev/null || true
wait $engines 2>/dev/null || true
# The daemon leaves the host's own network namespace mounted there.
umount "$run/exec/netns/default" 2>/dev/null || true
rm -rf "$run"
"#;

/// A running engine.
#[derive(Debug)]
pub(super) struct Daemon {
    folder: PathBuf,
    /// Its end is the daemon's.
    _stdin: ChildStdin,
}

impl Daemon {
    /// Starts it, with networks of its own where the machine allows that.
    pub(super) fn start(kind: Kind) -> Self {
        let state = super::target().join("engine");
        std::fs::create_dir_all(&state).expect("the target folder can be written");
        let first = Self::try_start(kind, false, &state, &[]);
        let daemon = first.unwrap_or_else(|log| {
            let refused = kind == Kind::Docker && (log.contains("iptables") || log.contains("bridge"));
            assert!(refused, "the engine did not start:\n{log}");
            super::tell(&format!(
                "the engine starts without networks of its own, because this machine refuses them:\n{log}"
            ));
            let without = ["--iptables=false", "--ip6tables=false", "--bridge=none"];
            let again = Self::try_start(kind, false, &state, &without);
            again.unwrap_or_else(|log| panic!("the daemon did not start:\n{log}"))
        });
        daemon.open()
    }

    /// Starts it as [`USER`], without any right of root's.
    pub(super) fn start_rootless(kind: Kind) -> Self {
        let state = super::target().join("engine");
        std::fs::create_dir_all(&state).expect("the target folder can be written");
        let started = Self::try_start(kind, true, &state, &[]);
        started.unwrap_or_else(|log| panic!("the rootless engine did not start:\n{log}")).open()
    }

    fn open(self) -> Self {
        let daemon = self;
        let open = daemon.folder.join("open.sock");
        std::fs::set_permissions(&open, PermissionsExt::from_mode(0o666)).expect("the open socket is ours to open");
        daemon
    }

    /// Where its sockets are.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The end of the engine's log where it does not answer.
    fn try_start(kind: Kind, rootless: bool, state: &Path, arguments: &[&str]) -> Result<Self, String> {
        // Not under the target folder: a socket's path has room for about a hundred letters.
        let folder = tempfile::Builder::new().prefix("gemra-engine-").tempdir().expect("a temp folder").keep();
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).expect("the folder is ours");
        let (lock, data, program, name) = match (kind, rootless) {
            (Kind::Docker, false) => ("lock", "data", "dockerd", "docker"),
            (Kind::Podman, false) => ("podman.lock", "podman", "podman", "podman"),
            (Kind::Docker, true) => ("rootless-docker.lock", "rootless-docker", "rootless-docker", "docker-rootless"),
            (Kind::Podman, true) => ("rootless-podman.lock", "rootless-podman", "rootless-podman", "podman-rootless"),
        };
        if rootless {
            chown(&folder, Some(USER), Some(USER)).expect("root gives folders away");
        }
        let log = state.join(format!("{program}.log"));
        let mut command = spawn::command("sh");
        command.args(["-c", KEEPER, "keeper"]).arg(state.join(lock)).arg(state.join(data)).arg(&folder).arg(&log);
        command.arg(name).args(arguments).env("ROOTLESS", rootless::SCRIPT);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        // Out of our group, so that an interrupt at the keyboard ends us, and the keeper through its stdin.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut keeper = command.spawn().expect("sh is installed");
        let stdin = keeper.stdin.take().expect("its stdin is a pipe");
        wait_for_turn(&mut keeper);
        let sockets = ["docker.sock", "open.sock"].map(|name| folder.join(name));
        let deadline = Instant::now() + READY;
        while !sockets.iter().all(|socket| ping(socket)) {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let gave_up = ["failed to start daemon", "dockerd: not found", "podman: not found", "rootless: it ended"];
            let gave_up = gave_up.iter().any(|words| text.contains(words));
            if gave_up || Instant::now() > deadline {
                drop(stdin);
                keeper.wait().expect("the keeper ends with its stdin");
                let lines: Vec<&str> = text.lines().collect();
                return Err(lines[lines.len().saturating_sub(20)..].join("\n"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Self { folder, _stdin: stdin })
    }
}

fn wait_for_turn(keeper: &mut Child) {
    let stdout = keeper.stdout.take().expect("its stdout is a pipe");
    let (said, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let _ = BufReader::new(stdout).read_line(&mut line);
        let _ = said.send(line);
    });
    let line = heard.recv_timeout(TURN).expect("the suite before ends in time and frees the engine's data");
    assert_eq!(line, "locked\n", "the keeper has the data folder to itself");
}

/// True where a daemon answers on the socket.
fn ping(socket: &Path) -> bool {
    use std::io::{Read as _, Write as _};
    let Ok(mut stream) = std::os::unix::net::UnixStream::connect(socket) else { return false };
    let limit = Some(Duration::from_secs(2));
    let asked =
        stream.set_read_timeout(limit).and_then(|()| stream.write_all(b"GET /_ping HTTP/1.0\r\nHost: engine\r\n\r\n"));
    let mut answer = String::new();
    asked.is_ok() && stream.read_to_string(&mut answer).is_ok() && answer.contains(" 200 ")
}

/// True where an engine answers at the address.
pub(super) fn answers(address: &str) -> bool {
    match address.strip_prefix("unix://") {
        Some(path) => ping(Path::new(path)),
        None => address.split_once("://").is_some_and(|(_, host)| std::net::TcpStream::connect(host).is_ok()),
    }
}
