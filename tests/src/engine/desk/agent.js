#!/usr/bin/env node
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const lines = require('node:readline').createInterface({ input: process.stdin });
const argv = process.argv.slice(2);
if (argv[0] === '--version') {
  console.log('9.9.9 (Claude Code)');
  process.exit();
}
const id = argv[1 + argv.findIndex(word => word === '--session-id' || word === '--resume')];
let deaf = false;
let slow = false;
let remembers = false;
let calls = 0;
const waiting = new Map();
const say = line => console.log(JSON.stringify(line));
const keep = text => fs.appendFileSync(`${process.env.CLAUDE_CONFIG_DIR}/projects/-workspace/${id}.jsonl`,
  JSON.stringify({ type: 'user', cwd: '/workspace', message: { role: 'user', content: text } }) + '\n');
const ends = subtype => say({ type: 'result', subtype, is_error: subtype !== 'success', result: 'well', num_turns: 1 });
const runs = (call, command) => {
  const { status, stdout } = spawnSync('sh', ['-c', command]);
  const text = status === 0 ? String(stdout) : `Exit code ${status}\n${stdout}`;
  const result = { type: 'tool_result', tool_use_id: call, content: text, is_error: status !== 0 };
  say({ type: 'user', message: { content: [result] }, tool_use_result: status === 0 ? { stdout: text } : text });
  ends('success');
};
lines.on('close', () => remembers && setTimeout(() => keep('the last word'), 200));
fs.appendFileSync('argv.txt', argv.join(' ') + '\n');
lines.on('line', line => {
  const asked = JSON.parse(line);
  if (asked.type === 'user') {
    const { content } = asked.message;
    const text = typeof content === 'string' ? content : content[content.length - 1].text;
    const [word, ...rest] = text.split(' ');
    keep(text);
    if (word === 'remember') remembers = true;
    if (word === 'slow') {
      slow = true;
      return;
    }
    if (word === 'call' || word === 'asked') {
      const [tool, ...command] = rest;
      const call = `toolu_${++calls}`;
      const input = { command: command.join(' ') };
      say({ type: 'assistant', message: { content: [{ type: 'tool_use', id: call, name: tool, input }] } });
      if (input.command === 'die') process.exit(9);
      if (word === 'call') return runs(call, input.command);
      const rules = [{ toolName: tool, ruleContent: 'touch *' }];
      const permission_suggestions = [{ type: 'addRules', rules, behavior: 'allow', destination: 'localSettings' }];
      const request = { subtype: 'can_use_tool', tool_name: tool, tool_use_id: call, input, permission_suggestions };
      waiting.set(call, () => runs(call, input.command));
      return say({ type: 'control_request', request_id: call, request });
    }
    if (word === 'complain') console.error(rest.join(' '));
    if (word === 'die') {
      console.error('told to die');
      process.exit(Number(rest[0]));
    }
    if (word === 'deaf') deaf = true;
    if (word === 'sh') spawnSync('sh', ['-c', rest.join(' ')], { stdio: 'ignore' });
    for (const all = []; word === 'eat'; ) all.push(Buffer.alloc(4 << 20, 1));
    ends('success');
    return;
  }
  if (asked.type === 'control_response') waiting.get(asked.response.request_id)?.();
  if (asked.type !== 'control_request' || deaf) return;
  if (fs.existsSync('crash')) process.exit(5);
  if (asked.request.subtype === 'initialize') {
    spawnSync('sh', ['-c', 'sh ./at-start.sh >./said.txt 2>&1; echo ended with $? >>./said.txt'], { stdio: 'ignore' });
  }
  say({ type: 'control_response', response: { subtype: 'success', request_id: asked.request_id, response: {} } });
  if (asked.request.subtype === 'interrupt' && slow) {
    slow = false;
    keep('[Request interrupted by user]');
    ends('error_during_execution');
  }
});
