// Load for a server that speaks proto/counter.proto. perfkit drives it; by hand:
//
//   k6 run -e ADDRESS=127.0.0.1:50055 -e VUS=20 -e DURATION_S=5 k6/counter.js
//
// What can be set with -e (default):
//   ADDRESS                host:port, or several with commas between them: all are loaded at once (127.0.0.1:50055)
//   VUS                    virtual users an address; each holds one connection (10)
//   RATE                   calls a second an address by constant-arrival-rate, from at most VUS users (unset: closed loop)
//   WARMUP_S, DURATION_S   the measured window opens after the warm-up and is open this long (1, 5)
//   OPENS_AT               when it opens instead, in ms since the epoch, so that several k6 have one window (unset)
//   AFTER_S                how long calls go on after the window (0)
//   WAIT_S                 how long to wait for servers that do not listen yet (0)
//   CONNECT_PER_ITERATION  1 connects and closes in every iteration, as the original study did (0)
//   TIMEOUT_S              how long a call may take (10)
//   PERCENTILES            which latency percentiles are wanted (50,90,95,99,99.9)
//   TLS_CA                 the authority of the server's certificate, PEM, an absolute path: connect by TLS (unset: plaintext)
//   METADATA               metadata of each call, a JSON object of texts; better in k6's environment than in its command line
//   TLS_CERT, TLS_KEY      the client's own certificate and key, where the server wants one (unset)
//   PROTO                  the folder of counter.proto (../proto, from here)
//   ANNOUNCE               1 logs "perfkit answered" when a VU has its first answer (0)
//   SUMMARY                a file for the result as JSON (unset: a short table on stdout)
//
// keys.js says how calls are for several keys, own.js how a method of one's own is called instead.
//
// A call belongs to the phase in which it starts: warmup, measure or cooldown, a VU tag that turns with the clock.
// Nobody restarts when the window opens, and calls that run when it ends may end in peace.
// setup() logs "perfkit window FROM UNTIL", in ms since the epoch.
import grpc from 'k6/net/grpc';
import exec from 'k6/execution';
import { sleep } from 'k6';
import { Counter } from 'k6/metrics';
import { PARTS, isKeyed, keyedCalls } from './keys.js';
import { isOwn, ownCalls, protoset } from './own.js';

const setting = (name, otherwise) => (__ENV[name] === undefined || __ENV[name] === '' ? otherwise : __ENV[name]);

const ADDRESSES = setting('ADDRESS', '127.0.0.1:50055').split(',');
const VUS = Number(setting('VUS', 10));
const RATE = Number(setting('RATE', 0));
const OPENS_AT = Number(setting('OPENS_AT', 0));
const WARMUP_MS = OPENS_AT ? Math.max(0, OPENS_AT - Date.now()) : Number(setting('WARMUP_S', 1)) * 1000;
const AFTER_MS = Number(setting('AFTER_S', 0)) * 1000;
const WAIT_MS = Number(setting('WAIT_S', 0)) * 1000;
const DURATION_MS = Number(setting('DURATION_S', 5)) * 1000;
const CONNECT_PER_ITERATION = setting('CONNECT_PER_ITERATION', '0') === '1';
// With an appointed window a VU makes all its calls in one iteration, so that k6 ends when they do: the length of a
// scenario would count from when all VUs were there, which nobody knows beforehand.
const IN_ONE = OPENS_AT > 0 && !RATE && !CONNECT_PER_ITERATION;
const TIMEOUT_S = Number(setting('TIMEOUT_S', 10));
const PERCENTILES = setting('PERCENTILES', '50,90,95,99,99.9').split(',');
const ANNOUNCE = setting('ANNOUNCE', '0') === '1';
const SUMMARY = setting('SUMMARY', '');

const TLS_CA = setting('TLS_CA', '');
const TLS_CERT = setting('TLS_CERT', '');
const CONNECTION = {
  plaintext: !TLS_CA,
  timeout: `${TIMEOUT_S}s`,
  ...(TLS_CA && { tls: { cacerts: open(TLS_CA), ...(TLS_CERT && { cert: open(TLS_CERT), key: open(setting('TLS_KEY', '')) }) } }),
};

const TIMEOUT = `${TIMEOUT_S}s`;
const METHOD = 'counter.incrementCounter/increment';
// The reply's text is not decoded: what was applied is proven by the server's final count.
const PARAMS = { timeout: TIMEOUT, discardResponseMessage: true, metadata: JSON.parse(setting('METADATA', '{}')) };
const INCREMENT = { request: { value: 1 }, params: PARAMS };
const COUNTER = { method: METHOD, next: () => INCREMENT, fault: () => '' };
const PAUSE_S = 1; // after a refused or lost connection: a dead server must not look fast
const FAULTS = { expect: 'fields missing', 'other key': 'another key answered', 'went back': 'a count that went back' };
const FAILURES = ['connect', ...Object.keys(FAULTS), ...Array.from({ length: 16 }, (_, i) => String(i + 1))];

const sent = new Counter('sent');
const acknowledged = new Counter('acknowledged');
const failed = new Counter('failed');
const connected = new Counter('connected');

const client = new grpc.Client();
if (!ADDRESSES.every((_, i) => isOwn(i))) client.load([setting('PROTO', '') || decodeURIComponent(import.meta.resolve('../proto'))], 'counter.proto');
if (protoset) client.loadProtoset(protoset);

const scenarios = {};
const thresholds = {}; // empty ones: the way to have a submetric in the summary
const ASKED = __VU === 0 ? ADDRESSES : []; // k6 takes its options from the first instance, and each VU is one more
ASKED.forEach((address, i) => {
  const name = `server${i}`;
  const model = RATE
    ? { executor: 'constant-arrival-rate', rate: RATE, preAllocatedVUs: VUS, maxVUs: VUS }
    : { executor: IN_ONE ? 'per-vu-iterations' : 'constant-vus', vus: VUS };
  const length = `${WARMUP_MS + DURATION_MS + AFTER_MS}ms`;
  scenarios[name] = {
    ...model,
    env: { SERVER: address, NUMBER: String(i), IS_OWN: isOwn(i) ? '1' : '' },
    ...(IN_ONE ? { iterations: 1, maxDuration: length } : { duration: length }),
    gracefulStop: `${TIMEOUT_S + 2}s`,
  };
  const whole = `scenario:${name}`;
  const measured = `${whole},phase:measure`;
  [
    `grpc_req_duration{${measured},status:0}`,
    ...PARTS.map((part) => `grpc_req_duration{${measured},status:0,${part}}`),
    ...['iteration_duration', 'data_sent', 'data_received', 'connected'].map((metric) => `${metric}{${measured}}`),
    `dropped_iterations{${whole}}`,
    ...[whole, measured].flatMap((tags) => [
      `sent{${tags}}`,
      `acknowledged{${tags}}`,
      ...FAILURES.map((status) => `failed{${tags},status:${status}}`),
    ]),
  ].forEach((key) => {
    thresholds[key] = [];
  });
});

export const options = {
  scenarios,
  thresholds,
  summaryTrendStats: ['count', 'avg', 'min', 'med', 'max', ...PERCENTILES.map((p) => `p(${p})`)],
  systemTags: ['scenario', 'status'],
};

function wait(address) {
  for (const until = Date.now() + WAIT_MS; Date.now() < until; sleep(0.01)) {
    try {
      client.connect(address, CONNECTION);
      client.close();
      return;
    } catch (_) {
      // not yet
    }
  }
}

export function setup() {
  ADDRESSES.forEach(wait);
  const from = OPENS_AT || Date.now() + WARMUP_MS;
  console.log(`perfkit window ${from} ${from + DURATION_MS}`);
  return { from, until: from + DURATION_MS };
}

let calls = null;
let phase = '';
let isConnected = false;
let isAnnounced = !ANNOUNCE;

function turnPhase(from, until) {
  const now = Date.now();
  const next = now < from ? 'warmup' : now < until ? 'measure' : 'cooldown';
  if (next !== phase) {
    phase = next;
    exec.vu.metrics.tags.phase = phase;
  }
}

function connect() {
  try {
    client.connect(__ENV.SERVER, CONNECTION);
    connected.add(1);
    isConnected = true;
  } catch (_) {
    failed.add(1, { status: 'connect' });
    sleep(PAUSE_S);
  }
  return isConnected;
}

export default function ({ from, until }) {
  do call(from, until);
  while (IN_ONE && Date.now() < until + AFTER_MS);
}

function chosenCalls() {
  if (__ENV.IS_OWN) return ownCalls(TIMEOUT);
  return isKeyed ? keyedCalls(METHOD, PARAMS, Number(__ENV.NUMBER)) : COUNTER;
}

function call(from, until) {
  turnPhase(from, until);
  if (!isConnected && !connect()) return;
  if (!calls) calls = chosenCalls();
  sent.add(1);
  const { request, params } = calls.next();
  const { status, message } = client.invoke(calls.method, request, params);
  const fault = status === grpc.StatusOK ? calls.fault(message, request) : '';
  if (fault) {
    failed.add(1, { status: fault });
  } else if (status === grpc.StatusOK) {
    acknowledged.add(1);
    if (!isAnnounced) {
      isAnnounced = true;
      console.log('perfkit answered');
    }
  } else {
    failed.add(1, { status: String(Number(status)) }); // as text alone it would be its name
    if (status === grpc.StatusUnavailable) sleep(PAUSE_S);
  }
  if (CONNECT_PER_ITERATION) {
    client.close();
    isConnected = false;
  }
}

export function handleSummary(data) {
  if (SUMMARY) return { [SUMMARY]: JSON.stringify(data) };
  const lines = ADDRESSES.flatMap((address, i) => {
    const tags = `scenario:server${i},phase:measure`;
    const count = (key) => (data.metrics[key] ? data.metrics[key].values.count : 0);
    const calls = count(`acknowledged{${tags}}`);
    const failures = FAILURES.map((status) => [status, count(`failed{${tags},status:${status}}`)]).filter(([, n]) => n);
    const latency = data.metrics[`grpc_req_duration{${tags},status:0}`].values;
    return [
      `${address}: ${calls} calls acknowledged in ${DURATION_MS / 1000} s, ${((calls * 1000) / DURATION_MS).toFixed(1)}/s`,
      calls ? `  latency in ms: ${['avg', 'med', 'p(95)', 'max'].filter((stat) => stat in latency).map((stat) => `${stat} ${latency[stat].toFixed(3)}`).join(', ')}` : '',
      ...failures.map(([status, n]) => `  failed with ${status === 'connect' ? 'no connection' : FAULTS[status] || `status ${status}`}: ${n}`),
    ].filter((line) => line);
  });
  return { stdout: `${lines.join('\n')}\n` };
}
