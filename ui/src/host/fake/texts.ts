// What the fake host's agent says and its engine prints.

export const REPLY = `The retry loop gives up one attempt early: \`attempt < max\` is checked *after* the counter has gone up.

Two ways to mend it:

1. Count from zero and compare with \`<\`.
2. Keep counting from one and compare with \`<=\`:

   \`\`\`ts
   for (let attempt = 1; attempt <= max; attempt++) {
     if (await tryOnce()) return;
   }
   \`\`\`

I would take the second, because the log line already says “attempt 1”.

\`\`\`ts
export async function withRetry(max: number, tryOnce: () => Promise<boolean>): Promise<void> {
  for (let attempt = 1; attempt <= max; attempt++) {
    if (await tryOnce()) return;
    console.log(\`attempt \${attempt} of \${max} failed\`);
  }
  throw new Error("gave up");
}
\`\`\`

The test in \`retry.test.ts\` passes with it, and the [documentation](https://example.com/retry) needs no change.
`;

export const MARKDOWN = `# How the cache works

The cache has **three layers**, and each one answers only for itself. A miss falls through to the next; a hit fills every layer above it, so that the *second* request is always cheap. See [the design note](https://example.com/cache) and \`cache/mod.rs\`.

## Layers

| Layer | Where | Holds | Evicts |
|---|---|---|--:|
| Memory | \`cache::hot\` | the last 512 entries | least recently used |
| Disk | \`cache::cold\` | everything of the last week | oldest first |
| Origin | \`fetch::remote\` | the truth | never |

### What a lookup does

1. Hash the request. The hash covers the *method*, the path and every header named in \`Vary\`.
2. Ask the hot layer.
   - On a hit, answer at once.
   - On a miss, go on, but remember who is waiting:

     \`\`\`rust
     let waiting = self.pending.entry(key).or_default();
     \`\`\`
3. Ask the cold layer, then the origin.

> Two requests for the same key never reach the origin twice: the second waits for the first.

\`\`\`rust
/// Answers from the nearest layer that knows.
pub async fn lookup(&self, request: &Request) -> Result<Response, Miss> {
    let key = Key::of(request);
    if let Some(found) = self.hot.get(&key) {
        return Ok(found.clone()); // cheap: an Arc
    }
    let found = match self.cold.read(&key).await? {
        Some(found) => found,
        None => self.origin.fetch(request, 3).await?,
    };
    self.hot.insert(key, found.clone());
    Ok(found)
}
\`\`\`

\`\`\`sh
cargo test -p cache -- --nocapture   # about 4 s
\`\`\`

---

A few numbers from the benchmark: the median lookup takes **0.4 ms**, the 95th percentile 3.1 ms. ~~The old one took 12 ms.~~
`;

export const BUILD = [
  "FROM node:22-bookworm",
  "ARG CLAUDE_CODE_VERSION=2.1.197",
  "RUN apt-get update && apt-get install -y git gh vim ripgrep curl jq build-essential openssh-client",
  "RUN python3 -m pip install --break-system-packages ziglang",
  "RUN npm install -g @anthropic-ai/claude-code@$CLAUDE_CODE_VERSION",
  "RUN usermod -u $USER_UID node",
  "RUN mkdir -p /workspace && chown node:node /workspace",
  "USER node",
  "WORKDIR /workspace",
];

export const BROKEN_BUILD = `Step 3/9 : RUN apt-get update && apt-get install -y git gh vim ripgrepp
 ---> Running in 5d0b3c8a2f11
Reading package lists...
Building dependency tree...
E: Unable to locate package ripgrepp
The command '/bin/sh -c apt-get update && apt-get install -y git gh vim ripgrepp' returned a non-zero code: 100`;
