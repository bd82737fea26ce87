# A small image on Alpine: the agent, git and little else.
#
# Gemra builds it where it is called Dockerfile.claude in your project. Add what the project needs.

FROM node:22-alpine

USER root
# The agent's own program is made for glibc; libgcc, libstdc++ and ripgrep are what it needs here instead.
RUN apk add --no-cache bash ca-certificates curl git libgcc libstdc++ openssh-client ripgrep
ENV USE_BUILTIN_RIPGREP=0

# Gemra gives the version that this machine has.
ARG CLAUDE_CODE_VERSION=latest
ENV DISABLE_AUTOUPDATER=1
RUN npm install --global --no-audit --no-fund "@anthropic-ai/claude-code@$CLAUDE_CODE_VERSION" && claude --version

# The user `node` gets the ids of the project's owner. Alpine has no usermod, so its line is written anew.
ARG USER_UID=1000
ARG USER_GID=1000
RUN if [ "$USER_UID" != 0 ]; then \
        deluser --remove-home node 2>/dev/null || true; \
        grep -q "^[^:]*:[^:]*:$USER_GID:" /etc/group || echo "node:x:$USER_GID:" >>/etc/group; \
        { echo "node:x:$USER_UID:$USER_GID::/home/node:/bin/bash"; cat /etc/passwd; } >/tmp/passwd; \
        cat /tmp/passwd >/etc/passwd; \
        rm /tmp/passwd; \
        home=/home/node; \
    else \
        home=/root; \
    fi; \
    mkdir -p /workspace "$home/.claude/projects" "$home/.cache/npm" "$home/.cache/pip" "$home/.cache/zig"; \
    chown -R "$USER_UID:$USER_GID" "$home" /workspace

WORKDIR /workspace
CMD ["claude"]
