#!/bin/sh
# A dataset becomes a versioned repository: imported, committed, queried, branched, changed, compared with its past, exported.
# usage: demo.sh [FOLDER]     FOLDER: your own pictures, instead of drawn scenes
set -eu
cd "$(dirname "$0")/.."
ROOT=$PWD
BIN=${DSV_DEMO_BIN:-${CARGO_TARGET_DIR:-$ROOT/target}/debug}
PATH=$BIN:$PATH
export PATH
DEMO=${DSV_DEMO_DIR:-$ROOT/demo}
# The demo signs for itself, and touches no settings of yours.
export DSV_AUTHOR_NAME="${DSV_AUTHOR_NAME:-A Demo}" DSV_AUTHOR_EMAIL="${DSV_AUTHOR_EMAIL:-demo@example.org}"
export DSV_PAGER=cat

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$(printf '\033[1m') dim=$(printf '\033[2m') plain=$(printf '\033[0m'); else bold= dim= plain=; fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
# Shows a command as it would be typed, and runs it.
run() {
    printf '%s$' "$dim"
    for word in "$@"; do
        case $word in
            *\'*) printf ' "%s"' "$word" ;;
            *"'"*) printf ' "%s"' "$word" ;;
            *[!A-Za-z0-9_./,:=@%+~^-]* | '') printf " '%s'" "$word" ;;
            *) printf ' %s' "$word" ;;
        esac
    done
    printf '%s\n' "$plain"
    "$@"
}
# Bytes of all that branches, tags and operations reach; what small packs cost on the disk besides is folded away as they come.
size() { dsv gc --dry-run --json | sed 's/.*"bytes_live":\([0-9]*\).*/\1/'; }
kb() { echo "$(($1 / 1000)).$(($1 % 1000 / 100)) KB"; }

rm -rf "$DEMO"
mkdir -p "$DEMO"

if [ -n "${1:-}" ]; then
    case $1 in /*) pictures=$1 ;; *) pictures=$ROOT/$1 ;; esac
    [ -d "$pictures" ] || { echo "error: $1 is not a folder" >&2; exit 2; }
    say "1. Your pictures, in a new repository"
    cd "$DEMO"
    run dsv init repo
    cd repo
    run dsv import pictures "$pictures" --on-error skip
    run dsv table describe pictures
    run dsv head pictures -n 5
    run dsv commit -m "import the pictures"
    before=$(size)
    say "2. What is in it"
    run dsv stats pictures
    run dsv query "SELECT lower(split_part(path, '.', -1)) AS format, count(*) AS pictures FROM pictures GROUP BY 1 ORDER BY 2 DESC"
    say "3. A branch with two columns more. Nothing is copied"
    run dsv switch -c review
    run dsv column add pictures format text --as "lower(split_part(path, '.', -1))"
    run dsv column add pictures keep bool --default true
    run dsv status
    run dsv commit -m "tell the format, mark what to keep"
    now=$(size)
    echo "The branch and its columns took $(kb $((now - before))); the repository has $(kb "$now")"
    say "4. Back on main nothing has changed"
    run dsv switch main
    run dsv table describe pictures
    run dsv log --oneline --graph --all
    run dsv query "SELECT a.path, b.format, b.keep FROM main.pictures a JOIN review.pictures b USING (path) ORDER BY path LIMIT 3"
    say "5. And out again, from the branch: a table, and the pictures as files"
    run dsv export pictures ../pictures.parquet --at review --where "format <> 'gif'"
    run dsv export pictures ../pictures/ --at review --where keep --columns path,image,format
    run dsv verify
    say "The repository is demo/repo: look around with dsv, for example: $BIN/dsv -C demo/repo status"
    exit 0
fi

say "1. A dataset as one gets it: a folder of pictures, and a file about them"
cd "$DEMO"
"$BIN/examples/scenes" scenes 300
run head -n 3 scenes/captions.csv

say "2. It becomes a repository. The column 'path' is replaced by the pictures themselves"
run dsv init repo
cd repo
run dsv import scenes ../scenes/captions.csv --key id --media path
run dsv column rename scenes path picture
run dsv status
run dsv commit -m "import 300 drawn scenes"
run dsv tag v1.0 -m "as delivered"
before=$(size)

say "3. Look at it"
run dsv head scenes -n 4 --columns id,picture,caption,label,quality
run dsv stats scenes color count quality

say "4. Ask in SQL. Someone labelled some shapes wrongly"
run dsv query "SELECT color, count(*) AS n, round(avg(quality), 2) AS quality FROM scenes GROUP BY color ORDER BY n DESC"
run dsv query "SELECT id, caption, label FROM scenes WHERE label <> shape ORDER BY id LIMIT 5"

say "5. Mend it on a branch: rows are matched by key, and only cells that differ are written"
run dsv switch -c fix-labels
run head -n 3 ../scenes/fixes.csv
run dsv import scenes ../scenes/fixes.csv --key id
run dsv column add scenes sharp bool --as "quality > 0.8"
run dsv status
run dsv commit -m "mend the labels, mark sharp pictures"
now=$(size)
echo "The branch, its new column and its edits took $(kb $((now - before))); the repository has $(kb "$now")"

say "6. Compare with the past: a schema is a revision"
run dsv query 'SELECT id, old.label AS was, new.label AS is_now FROM "v1.0".scenes old JOIN scenes new USING (id) WHERE old.label <> new.label ORDER BY id LIMIT 5'
run dsv query 'SELECT (SELECT count(*) FROM main.scenes WHERE label <> shape) AS wrong_on_main, (SELECT count(*) FROM scenes WHERE label <> shape) AS wrong_here'
run dsv log --oneline --graph --all
run dsv log --oneline -- scenes label

say "7. Nothing is lost: every operation can be taken back"
run dsv table drop scenes
run dsv undo
run dsv status

say "8. Out again, from any revision"
run dsv export scenes ../sharp.parquet --where "sharp AND count = 2" --columns id,caption,picture
run dsv export scenes ../as-delivered/ --at v1.0 --columns picture,caption
first=$(ls ../as-delivered | head -n 1)
run cmp "../as-delivered/$first" ../scenes/pictures/00000.jpg
echo "The picture is the one that was imported, byte for byte"
run dsv verify

say "The repository is demo/repo: look around with dsv, for example: $BIN/dsv -C demo/repo log"
