// A method of one's own instead of the counter, for counter.js. perfkit drives it; by hand:
//
//   k6 run -e ADDRESS=127.0.0.1:50061 -e OWN=$PWD/own.json -e PROTOSET=$PWD/greeter.protoset k6/counter.js
//
// What can be set with -e, beside counter.js's own:
//   OWN          a file of JSON, an absolute path (unset: the counter is called):
//                method    package.Service/Method
//                requests  a list of requests, taken in turn; each VU begins at another one
//                seed      a number: draw requests at random instead, each VU by a seed of its own (null)
//                metadata  of each call, an object of texts
//                expect    a list of paths, each a list of field names: a reply without one of them has failed
//   PROTOSET     what protoc --include_imports --descriptor_set_out wrote, an absolute path
//   OWN_SERVERS  with several in ADDRESS, 1 for those that have the method and 0 for counters, commas between (all have)
import exec from 'k6/execution';
import { randomSeed } from 'k6';
import { SharedArray } from 'k6/data';

const FILE = __ENV.OWN || '';

// One copy for all VUs: a file of requests may be large.
const [told] = FILE ? new SharedArray('own', () => [JSON.parse(open(FILE))]) : [null];
const requests = FILE ? new SharedArray('requests', () => JSON.parse(open(FILE)).requests) : [];

export const protoset = FILE ? __ENV.PROTOSET : '';

export function isOwn(server) {
  const own = __ENV.OWN_SERVERS;
  return FILE !== '' && (!own || own.split(',')[server] === '1');
}

function order() {
  const vu = exec.vu.idInTest;
  if (told.seed === null) {
    let taken = vu - 1;
    return () => taken++ % requests.length;
  }
  randomSeed(told.seed * 1000003 + vu); // of this VU's Math.random
  return () => Math.floor(Math.random() * requests.length);
}

// What JSON has for a field that was not set, 64-bit numbers as text among it.
const UNSET = ['', '0', 0, false, null, undefined];

function isSet(value) {
  return value !== null && typeof value === 'object' ? Object.keys(value).length > 0 : !UNSET.includes(value);
}

function hasAll(message) {
  return told.expect.every((path) => isSet(path.reduce((value, field) => (value ? value[field] : undefined), message)));
}

// What a VU calls: a method, its next request with the parameters of that call, and what is wrong with a reply of status 0.
export function ownCalls(timeout) {
  const next = order();
  const metadata = { ...JSON.parse(__ENV.METADATA || '{}'), ...told.metadata };
  const params = { timeout, metadata, discardResponseMessage: !told.expect.length };
  const fixed = requests.length === 1 ? { request: requests[0], params } : null;
  return {
    method: told.method,
    next: fixed ? () => fixed : () => ({ request: requests[next()], params }),
    fault: told.expect.length ? (message) => (hasAll(message) ? '' : 'expect') : () => '',
  };
}
