# For development: compilers, debuggers and the usual tools, on Debian.
#
# Gemra builds it where it is called Dockerfile.claude in your project. Add what the project needs.

# Any Debian or Ubuntu image with Node 22 or newer and npm.
ARG BASE_IMAGE=node:22-bookworm
FROM ${BASE_IMAGE}

USER root
RUN export DEBIAN_FRONTEND=noninteractive; \
    apt-get update \
    && apt-get install -y --no-install-recommends \
        build-essential ca-certificates cmake curl file gdb git jq less openssh-client pkg-config procps python3 \
        ripgrep sqlite3 strace unzip vim xz-utils zip \
    && rm -rf /var/lib/apt/lists/*

# Gemra gives the version that this machine has.
ARG CLAUDE_CODE_VERSION=latest
ENV DISABLE_AUTOUPDATER=1
RUN npm install --global --no-audit --no-fund "@anthropic-ai/claude-code@$CLAUDE_CODE_VERSION" && claude --version

# The user `node` gets the ids of the project's owner, so that files written on either side belong to the same user.
ARG USER_UID=1000
ARG USER_GID=1000
RUN id node >/dev/null 2>&1 || useradd --create-home --shell /bin/bash node; \
    if [ "$USER_UID" != 0 ]; then \
        getent group "$USER_GID" >/dev/null || groupmod --gid "$USER_GID" "$(id -gn node)"; \
        usermod --gid "$USER_GID" node; \
        [ "$(id -u node)" = "$USER_UID" ] || usermod --non-unique --uid "$USER_UID" node; \
        home=/home/node; \
    else \
        home=/root; \
    fi; \
    mkdir -p /workspace "$home/.claude/projects" "$home/.cache/npm" "$home/.cache/pip" "$home/.cache/zig"; \
    chown -R "$USER_UID:$USER_GID" "$home" /workspace

WORKDIR /workspace
USER node
CMD ["claude"]
