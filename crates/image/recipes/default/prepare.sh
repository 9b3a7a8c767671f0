#!/bin/sh
# Runs between the essential packages and the others: $1 is the root file system.
set -eu
root=$1
here=$(dirname "$0")

# The empty package for what is listed in absent.txt.
package=$(mktemp -d "$root/tmp/absent.XXXXXX")
mkdir "$package/DEBIAN"
cat >"$package/DEBIAN/control" <<CONTROL
Package: pitlane-absent
Version: 1
Architecture: all
Maintainer: Pitlane
Description: stands for packages that the default image does without
Provides: $(grep -v -e '^#' -e '^$' "$here/absent.txt" | paste -s -d , -)
CONTROL
dpkg-deb --root-owner-group --build "$package" "$root/tmp/absent.deb" >/dev/null
chroot "$root" dpkg --install /tmp/absent.deb
rm -r "$package" "$root/tmp/absent.deb"
