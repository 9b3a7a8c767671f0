#!/bin/sh
# Turns the unpacked packages into an image: $1 is the root file system.
set -eu
root=$1

cp "$root/usr/share/base-passwd/passwd.master" "$root/etc/passwd"
cp "$root/usr/share/base-passwd/group.master" "$root/etc/group"
echo 'daytona:x:1000:1000::/home/daytona:/bin/bash' >>"$root/etc/passwd"
echo 'daytona:x:1000:' >>"$root/etc/group"
mkdir -p "$root/home/daytona" "$root/var/tmp"
chown 1000:1000 "$root/home/daytona"
chmod 1777 "$root/var/tmp"

# Commands that no package brought come from busybox.
ln -sf python3 "$root/usr/bin/python"
chroot "$root" busybox --list | while read -r command; do
  chroot "$root" sh -c 'command -v "$1" >/dev/null' sh "$command" || ln -s busybox "$root/usr/bin/$command"
done
chroot "$root" ldconfig

echo 'sandbox' >"$root/etc/hostname"
printf '127.0.0.1\tlocalhost\n::1\tlocalhost\n' >"$root/etc/hosts"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
rm -f "$root/etc/resolv.conf" "$root/etc/machine-id"
: >"$root/etc/resolv.conf"
chmod 0644 "$root/etc/hostname" "$root/etc/hosts" "$root/etc/resolv.conf"

# There is no apt inside; nothing of the host's sources and proxies stays.
rm -f "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d/* "$root/etc/apt/apt.conf.d/99mmdebstrap" \
  "$root/etc/dpkg/dpkg.cfg.d/99mmdebstrap"

# Each of these is promised; an image without one is not an image.
chroot "$root" sh -euc 'bash -c true; python -c "import sys"; ps >/dev/null; tar --help >/dev/null 2>&1; sha256sum /etc/passwd >/dev/null'
