#!/bin/sh
# A base for the image where no registry of images is reached: Debian's packages instead of
# python:3.11-slim-bookworm. Needs root, buildah and debootstrap. Then:
#
#   make image-check BASE=localhost/relay-base
#
# For trying the image out; releases stand on the Dockerfile's base.
set -eu
container=$(buildah from scratch)
trap 'buildah rm "$container" >/dev/null' EXIT
root=$(buildah mount "$container")
debootstrap --variant=minbase --include=python3,python3-venv,python3-pip,ca-certificates bookworm "$root"
ln -s python3 "$root/usr/bin/python"
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
buildah umount "$container" >/dev/null
buildah commit --quiet "$container" localhost/relay-base
