#!/bin/sh
# Turns the installed packages into an image: $1 is the root file system.
set -eu
root=$1
here=$(dirname "$0")

# What Debian does not have or has much larger. apt's own program fetches it, by the host's way to the network, and
# checks its sum; npm only unpacks it.
registry=$(chroot "$root" npm config get registry)
mkdir -m 1777 "$root/tmp/npm"
grep -v -e '^#' -e '^$' "$here/npm.txt" | while read -r path sum; do
  env -u APT_CONFIG /usr/lib/apt/apt-helper -o Acquire::Retries=3 download-file "${registry%/}/$path" \
    "$root/tmp/npm/${path##*/}" "SHA512:$sum"
done
chroot "$root" sh -euc 'npm install --global --prefix /usr/local --offline --no-audit --no-fund \
  --cache /tmp/npm-cache /tmp/npm/*.tgz' >/dev/null
# Translations of what the compiler says.
find "$root/usr/local/lib/node_modules/typescript/lib" -mindepth 1 -maxdepth 1 -type d -exec rm -r {} +

# The user whose commands run in a sandbox.
chroot "$root" useradd --create-home --uid 1000 --user-group --shell /bin/bash daytona
chmod 0755 "$root/home/daytona"
echo 'daytona ALL=(ALL) NOPASSWD:ALL' >"$root/etc/sudoers.d/daytona"
chmod 0440 "$root/etc/sudoers.d/daytona"

# pip and npm install for everybody without asking for anything: /usr/local is the user's.
mkdir -p "$root/usr/local/lib/python3.11/dist-packages"
chroot "$root" chown -R daytona:daytona /usr/local
rm -f "$root"/usr/lib/python3*/EXTERNALLY-MANAGED
cat >"$root/etc/pip.conf" <<'PIP'
[global]
disable-pip-version-check = true
root-user-action = ignore
PIP
cat >"$root/home/daytona/.npmrc" <<'NPM'
prefix=/usr/local
update-notifier=false
fund=false
NPM
chroot "$root" chown -R daytona:daytona /home/daytona

# The ordinary sources of Debian, whatever this image was made from: apt brings a list of them.
rm -rf "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d/* "$root"/etc/apt/trusted.gpg.d/pitlane-*
sed -n 's|^deb \([^ ]*\) \([^ ]*\) main.*|deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] \1 \2 main|p' \
  "$root/usr/share/doc/apt/examples/sources.list" >"$root/etc/apt/sources.list"
for suite in bookworm bookworm-updates bookworm-security; do
  grep -q " $suite main\$" "$root/etc/apt/sources.list"
done
rm -f "$root/etc/apt/apt.conf.d/99mmdebstrap"
mv "$root/etc/dpkg/dpkg.cfg.d/99mmdebstrap" "$root/etc/dpkg/dpkg.cfg.d/pitlane"

# What programs look up.
echo 'LANG=C.UTF-8' >"$root/etc/default/locale"
echo 'sandbox' >"$root/etc/hostname"
printf '127.0.0.1\tlocalhost\n::1\tlocalhost\n' >"$root/etc/hosts"
rm -f "$root/etc/resolv.conf" "$root/etc/machine-id" "$root/var/lib/dbus/machine-id"
: >"$root/etc/resolv.conf"
chmod 0644 "$root/etc/hostname" "$root/etc/hosts" "$root/etc/resolv.conf"

# The tests of the Python packages; their installation compiles them, so they cannot be left out before.
find "$root/usr/lib/python3/dist-packages" -type d -name tests -prune -exec rm -r {} +

# Everything that would otherwise be made at first use: compiled modules, and matplotlib's list of fonts.
chroot "$root" python3 -m compileall -q -j 2 /usr/lib/python3 /usr/lib/python3.11 >/dev/null 2>&1 || true
chroot "$root" runuser -u daytona -- env HOME=/home/daytona python3 -c '
import numpy, pandas, requests, scipy, sympy
import matplotlib.pyplot as plot
import os, sysconfig
assert os.access(sysconfig.get_path("purelib"), os.W_OK), "pip cannot install"
plot.figure().savefig("/dev/null", format="png")
'
# Each of these is promised; an image without one is not an image.
chroot "$root" runuser -u daytona -- sh -euc '
cd
python --version; pip --version; node --version; npm --version; esbuild --version; git --version; rg --version
bash -c true; curl --version; sudo -n true; ps --version; tar --version; find --version; jq --version; wget --version
test -w "$(npm prefix -g)/bin"
vim --version; htop --version; pylsp --version; tsc --version; typescript-language-server --version
echo "const one: number = 1" | esbuild --loader=ts
' >/dev/null

# Nothing of the making stays.
find "$root/var/log" -type f -delete
find "$root/var/cache/debconf" "$root/var/lib/dpkg" -name '*-old' -delete
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/cache/ldconfig/* "$root"/tmp/* "$root"/var/tmp/* \
  "$root"/root/.cache "$root"/home/daytona/.npm
