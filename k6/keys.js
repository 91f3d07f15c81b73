// Keys and reads, for counter.js. perfkit drives it; by hand:
//
//   k6 run -e ADDRESS=127.0.0.1:50055 -e KEYS=16 -e ZIPF=1 -e READ_PCT=50 k6/counter.js
//
// What can be set with -e, beside counter.js's own (default):
//   KEYS      how many keys calls are for, from 0 on (1)
//   ZIPF      their skew: key k is asked for in proportion to 1/(k+1)^ZIPF; 0: all alike (0)
//   READ_PCT  calls of a hundred that only read (0)
//   KEY_SEED  draw by this seed, each VU by one of its own (1)
//
// Writes are counted by key, modulo GROUPS, for the proof that each was applied once. With reads every reply is looked at:
// a count that is less than this VU has seen of that key before, or another key than was asked for, is a failed call.
import exec from 'k6/execution';
import { randomSeed } from 'k6';
import { Counter } from 'k6/metrics';

const KEYS = Number(__ENV.KEYS || 1);
const ZIPF = Number(__ENV.ZIPF || 0);
const READ_PCT = Number(__ENV.READ_PCT || 0);
const SEED = Number(__ENV.KEY_SEED || 1);
const GROUPS = 64;

export const isKeyed = KEYS > 1 || READ_PCT > 0;

// What calls are told apart by: metrics of each are wanted too.
export const PARTS = [...(READ_PCT ? ['op:read', 'op:write'] : []), ...(ZIPF ? ['key:hot', 'key:cold'] : [])];

const groups = Array.from({ length: isKeyed ? Math.min(KEYS, GROUPS) : 0 }, (_, group) => group);

function countersOf(what, servers) {
  return servers.map((server) => groups.map((group) => new Counter(`${what}_${server}_${group}`)));
}

const servers = Array.from({ length: isKeyed ? (__ENV.ADDRESS || '').split(',').length : 0 }, (_, i) => i);
const sent = countersOf('sent', servers);
const acknowledged = countersOf('acknowledged', servers);

// The part of calls that are for a key up to each, rising to 1.
function shares() {
  const weights = Array.from({ length: KEYS }, (_, key) => (key + 1) ** -ZIPF);
  const all = weights.reduce((sum, weight) => sum + weight, 0);
  let sum = 0;
  return weights.map((weight) => (sum += weight) / all);
}

const upTo = isKeyed && ZIPF ? shares() : [];

function draw() {
  const where = Math.random();
  if (!ZIPF) return Math.floor(where * KEYS);
  let low = 0;
  let high = KEYS - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (upTo[middle] > where) high = middle;
    else low = middle + 1;
  }
  return low;
}

// What a VU calls of one server, as ownCalls has it.
export function keyedCalls(method, params, server) {
  randomSeed(SEED * 1000003 + exec.vu.idInTest); // of this VU's Math.random
  const seen = {};
  const told = (op, key) => ({ ...params, discardResponseMessage: !READ_PCT, tags: { ...(READ_PCT && { op }), ...(ZIPF && { key }) } });
  const ways = {
    read: { hot: told('read', 'hot'), cold: told('read', 'cold') },
    write: { hot: told('write', 'hot'), cold: told('write', 'cold') },
  };
  return {
    method,
    next() {
      const key = draw();
      const op = READ_PCT && Math.random() * 100 < READ_PCT ? 'read' : 'write';
      if (op === 'write') sent[server][key % GROUPS].add(1);
      return { request: { value: op === 'read' ? 0 : 1, key }, params: ways[op][key === 0 ? 'hot' : 'cold'] };
    },
    fault(message, request) {
      if (request.value) acknowledged[server][request.key % GROUPS].add(1);
      if (!READ_PCT) return '';
      if (Number(message.key || 0) !== request.key) return 'other key';
      const count = Number(message.count || 0);
      if (count < (seen[request.key] || 0)) return 'went back';
      seen[request.key] = count;
      return '';
    },
  };
}
