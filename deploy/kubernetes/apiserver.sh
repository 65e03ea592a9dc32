#!/usr/bin/env bash
# Puts a real kube-apiserver and an etcd into a folder, for
#
#   go test -run TestAPIServer -apiserver "$PWD/FOLDER" .
#
# kube-apiserver is built from its modules (about 8 minutes on 2 cores, 4 GB of module and
# build caches); etcd is Debian's package etcd-server, unpacked and not installed.
set -euo pipefail
readonly version=1.34.3

if (($# != 1)); then
	echo "usage: apiserver.sh FOLDER" >&2
	exit 2
fi
mkdir -p "$1/src"
dir=$(cd "$1" && pwd)
cd "$dir/src"

if [[ ! -x $dir/etcd ]]; then
	apt-get download etcd-server
	dpkg -x etcd-server_*.deb unpacked
	cp unpacked/usr/bin/etcd "$dir/etcd"
fi

if [[ ! -x $dir/kube-apiserver ]]; then
	source=$(go mod download -json "k8s.io/kubernetes@v$version" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
	# In its own go.mod the staging modules are folders of its repository: here they are
	# the modules that they are published as.
	{
		printf 'module apiserver\n\ngo 1.24.0\n\nrequire k8s.io/kubernetes v%s\n\nreplace (\n' "$version"
		sed -n "s|^\t\(k8s.io/[a-z0-9-]*\) => ./staging/.*|\t\1 => \1 v0.${version#1.}|p" "$source/go.mod"
		printf ')\n'
	} >go.mod
	cp "$source/go.sum" go.sum
	printf '//go:build tools\n\npackage tools\n\nimport _ "k8s.io/kubernetes/cmd/kube-apiserver"\n' >tools.go
	GOWORK=off GOFLAGS=-mod=mod go build -o "$dir/kube-apiserver" k8s.io/kubernetes/cmd/kube-apiserver
fi
ls -l "$dir/etcd" "$dir/kube-apiserver"
