# The daily commands: https://just.systems. Each is a thin wrapper around cargo or a script in .ci, which work without just.

# List the recipes.
default:
    @just --list

# Type-check everything: the quickest check while you work.
check:
    cargo check --workspace --all-targets

# Format the code.
format:
    cargo fmt --all

# Run what CI checks without running a test: format, lints and documentation.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --all-features -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet

# Run all tests.
test:
    cargo test --workspace

# Run the tests whose names contain FILTER, such as `queue::` or the name of one test.
test-one FILTER:
    cargo test --workspace -- {{ quote(FILTER) }}

# Run everything that must pass, after installing what it needs.
ci:
    .ci/run

# Open the documentation of the library.
docs:
    cargo doc -p jobcore --all-features --no-deps --open

# Build the pages of docs/ as a book, in target/book.
book:
    .ci/book

# Record the terminal session of the README again.
update-picture:
    .ci/picture

# Update the generated parts of docs/: docs/cli.md and a table of docs/settings.md. Review the diff.
update-docs:
    UPDATE_DOCS=1 cargo test -p jobcli --test docs

# Update the golden files. Review the diff.
update-golden:
    UPDATE_GOLDEN=1 cargo test -p jobcore --lib golden

# Update the snapshots of what models read. Review the diff.
update-snapshots:
    INSTA_UPDATE=always cargo test -p jobcore-tests --test e2e mcp_texts::

# Record the current public interface of the library. Review the diff.
update-public-api:
    .ci/public-api --update

# Measure the store and the adoption of jobs.
bench:
    cargo bench -p jobcore --bench store
    cargo bench -p jobcore-tests --bench adoption

# Count the calls and tokens of agent tasks, such as `--tasks daily --words`.
economy *OPTIONS:
    .ci/economy {{ OPTIONS }}

# Measure the released programs and others that run jobs: half an hour and more, or a minute with `--quick`.
compare *OPTIONS:
    .ci/compare {{ OPTIONS }}

# Check that the released programs cost no more system calls, inodes, instructions and memory than before.
costs *OPTIONS:
    .ci/costs {{ OPTIONS }}

# Check the licences, sources and versions of all dependencies.
deny *CHECKS:
    .ci/deny {{ CHECKS }}

# Make the artefacts of a release in target/dist/artefacts, the same bytes from the same commit: ten minutes.
release:
    .ci/dist

# Install each package of `just release` in an empty home, and run the README's five commands with it.
try-packages *CHANNELS:
    .ci/try-packages {{ CHANNELS }}

# Let every system call fail and try each property many times: one to two hours.
campaign *SCENES:
    .ci/campaign {{ SCENES }}

# Fuzz each parser for SECONDS.
fuzz SECONDS="60" *TARGETS:
    .ci/fuzz {{ SECONDS }} {{ TARGETS }}
