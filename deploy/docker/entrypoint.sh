#!/bin/sh
# Takes secrets from files: QUIPU_X_FILE=/run/secrets/x becomes QUIPU_X with the file's text. Then runs the command.
set -eu
for name in $(env | sed -n 's/^\(QUIPU_[A-Z0-9_]*\)_FILE=.*/\1/p'); do
    eval "file=\$${name}_FILE"
    if [ ! -r "$file" ]; then
        echo "error: ${name}_FILE names $file, which cannot be read" >&2
        exit 2
    fi
    export "$name=$(cat "$file")"
    unset "${name}_FILE"
done
exec "$@"
