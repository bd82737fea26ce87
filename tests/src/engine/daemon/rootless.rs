//! How a rootless engine is started: by an ordinary user who exists nowhere but in the engine's own namespaces, so that
//! nothing of the machine's is changed for it. It knows nothing of who waits for the engine.

/// Who runs it.
pub(in super::super) const USER: u32 = 4242;

/// Runs as root in mounts and processes of its own. The user has an entry and further ids only in copies of the
/// machine's files, and finds the devices that a desktop system opens to everybody. The data lie where the user can get
/// through to, and at the same path each time, because Podman's name their own.
pub(super) const SCRIPT: &str = r#"
set -eu
data="$1"; run="$2"; kind="$3"; user=4242; name=gemra-rootless
mount --make-rshared /
home=/mnt
mount --bind "$data" "$home"
mkdir "$run/own"
mount -t tmpfs -o mode=755 tmpfs "$run/own"
# What a run before has left there says that its containers run.
rm -rf "$home/runtime"
mkdir -m 700 "$home/runtime"
chown "$user:$user" "$home" "$home/runtime"
for file in passwd group subuid subgid; do
    [ -e "/etc/$file" ] || : >"/etc/$file"
    cp "/etc/$file" "$run/own/$file"
    chmod 644 "$run/own/$file"
done
echo "$name:x:$user:$user::$home:/bin/sh" >>"$run/own/passwd"
echo "$name:x:$user:" >>"$run/own/group"
echo "$name:2000000:65536" | tee -a "$run/own/subuid" >>"$run/own/subgid"
for file in passwd group subuid subgid; do
    mount --bind "$run/own/$file" "/etc/$file"
done
for device in net/tun fuse; do
    if [ -c "/dev/$device" ]; then
        mknod -m 666 "$run/own/${device##*/}" c $(stat -c '0x%t 0x%T' "/dev/$device")
        mount --bind "$run/own/${device##*/}" "/dev/$device"
    fi
done
cat >"$run/own/start" <<'START'
set -u
cd "$HOME"
case "$1" in
docker-rootless)
    # Where Debian has it; others have it on PATH.
    PATH="$PATH:/usr/share/docker.io/contrib"
    DOCKERD_ROOTLESS_ROOTLESSKIT_FLAGS="--state-dir=$XDG_RUNTIME_DIR/rootlesskit" dockerd-rootless.sh \
        --host "unix://$2/docker.sock" --host "unix://$2/open.sock" --data-root "$HOME/docker" \
        --exec-root "$XDG_RUNTIME_DIR/exec" --pidfile "$XDG_RUNTIME_DIR/docker.pid"
    ;;
podman-rootless)
    {
        echo '[engine]'
        echo 'cgroup_manager = "cgroupfs"'
        echo 'events_logger = "file"'
        echo 'lock_type = "file"'
        # Its usual one refuses the older cgroups.
        if command -v runc >/dev/null; then echo 'runtime = "runc"'; fi
    } >"$HOME/containers.conf"
    export CONTAINERS_CONF="$HOME/containers.conf"
    for driver in overlay "overlay --storage-opt overlay.mount_program=/usr/bin/fuse-overlayfs" vfs; do
        storage="--root $HOME/root --runroot $XDG_RUNTIME_DIR/run --storage-driver $driver"
        if podman $storage info; then break; fi
    done
    podman $storage rm --all --force --time 0
    podman $storage volume rm --all --force
    podman $storage system service --time 0 "unix://$2/open.sock" &
    podman $storage system service --time 0 "unix://$2/docker.sock"
    ;;
esac
echo "rootless: it ended with $?"
START
setpriv --reuid="$user" --regid="$user" --clear-groups env -i HOME="$home" XDG_RUNTIME_DIR="$home/runtime" \
    PATH="$PATH" sh "$run/own/start" "$kind" "$run" || echo "rootless: it ended"
"#;
