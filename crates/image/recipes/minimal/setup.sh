#!/bin/sh
# Runs before anything is unpacked: $1 is the root file system. Programs and libraries live in /usr, as in Debian.
set -eu
root=$1
for folder in bin sbin lib lib64; do
  mkdir -p "$root/usr/$folder"
  ln -s "usr/$folder" "$root/$folder"
done
