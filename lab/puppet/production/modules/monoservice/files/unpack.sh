#!/bin/sh
# unpack ARCHIVE DIGEST FOLDER     unpacks into FOLDER, whole or not at all, and leaves DIGEST in FOLDER/.digest
# unpack --is-done DIGEST FOLDER   succeeds when FOLDER holds that digest's content
set -eu

if [ "$1" = --is-done ]; then
    [ "$(cat "$3/.digest" 2>/dev/null)" = "$2" ]
    exit
fi

archive=$1 digest=$2 folder=$3
new="$(dirname "$folder")/.new-$(basename "$folder")"
old="$(dirname "$folder")/.old-$(basename "$folder")"

rm -rf "$new" "$old"
mkdir "$new"
tar -xzf "$archive" -C "$new"
echo "$digest" >"$new/.digest"
[ ! -e "$folder" ] || mv "$folder" "$old"
mv "$new" "$folder"
rm -rf "$old"
