// The same service on Node.js: npm ci, then node server.js 50061
'use strict';
const { createHash } = require('node:crypto');
const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const { greeter } = grpc.loadPackageDefinition(loader.loadSync(path.join(__dirname, 'greeter.proto'), { enums: String, longs: String }));

const WORDS = { ENGLISH: 'Hello', GERMAN: 'Guten Tag', FRENCH: 'Bonjour' };
const ROUNDS = 50;

function sign(text) {
  let token = Buffer.from(text);
  for (let round = 0; round < ROUNDS; round++) token = createHash('sha256').update(token).digest();
  return token.toString('hex', 0, 16);
}

function greet({ request }, reply) {
  if (!request.name) return reply({ code: grpc.status.INVALID_ARGUMENT, details: 'a name is wanted' });
  const text = `${WORDS[request.language || 'ENGLISH']}, ${request.name}!`;
  return reply(null, { text, details: { visits: request.visits, token: sign(text) } });
}

const server = new grpc.Server();
server.addService(greeter.Greeter.service, { greet });
// localhost may be 127.0.0.1 or [::1]: perfkit looks at both.
server.bindAsync(`localhost:${process.argv[2]}`, grpc.ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
});
