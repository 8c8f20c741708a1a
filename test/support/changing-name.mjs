// Preloaded by tests (`NODE_OPTIONS=--import`): the name `changing.example` leads to an address of the internet at the first
// look, and to this machine from then on.
import { createRequire, syncBuiltinESMExports } from 'node:module';

const dns = createRequire(import.meta.url)('node:dns');
const { lookup } = dns;
const lookupOnce = dns.promises.lookup;
let looks = 0;

const addressOf = () => {
  looks += 1;
  return { address: looks === 1 ? '8.8.8.8' : '127.0.0.1', family: 4 };
};

dns.lookup = (name, options, callback) => {
  if (name !== 'changing.example') return lookup(name, options, callback);
  const found = addressOf();
  process.nextTick(() => (options.all ? callback(null, [found]) : callback(null, found.address, found.family)));
  return {};
};
dns.promises.lookup = async (name, options) => {
  if (name !== 'changing.example') return await lookupOnce(name, options);
  return options?.all ? [addressOf()] : addressOf();
};
syncBuiltinESMExports();
