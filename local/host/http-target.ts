import type { IncomingMessage } from 'node:http';

/** Kestrel's limit for the request line; beyond it 414. */
const MAX_URL_LENGTH = 8_192;
/** Kestrel's limit for the number of headers; beyond it 431. */
const MAX_HEADER_COUNT = 100;

/** The absolute URL a function sees, or the status with which Kestrel refuses the request before anything else. */
export function readTarget(req: IncomingMessage): URL | 400 | 414 | 431 {
  const target = req.url ?? '/';
  if (target.length > MAX_URL_LENGTH) return 414;
  if (req.rawHeaders.length / 2 > MAX_HEADER_COUNT) return 431;
  const { localAddress = '127.0.0.1', localPort = 80 } = req.socket;
  const host = req.headers.host || `${localAddress.includes(':') ? `[${localAddress}]` : localAddress}:${localPort}`;
  if (!/^[^/?#@\\\s]+$/.test(host)) return 400;
  const path = pathOf(target, host);
  if (path === undefined || /%00/.test(path.split('?', 1)[0] ?? '')) return 400;
  const text = `http://${host}${path}`;
  return URL.canParse(text) ? new URL(text) : 400;
}

/** RFC 9112 section 3.2: a path, or an absolute URL, of which Kestrel wants the host that `Host` names. */
function pathOf(target: string, host: string): string | undefined {
  if (target.startsWith('/')) return target;
  if (!/^https?:\/\//i.test(target) || !URL.canParse(target) || !URL.canParse(`http://${host}`)) return undefined;
  const url = new URL(target);
  return url.host === new URL(`http://${host}`).host ? url.pathname + url.search : undefined;
}
