import type { PropertyReader } from './property-reader.ts';
import { nameOf, type ServerEndpoint } from './server-endpoint.ts';

/** What only SMTP has, of the transport. */
export function mapSmtp(reader: PropertyReader, endpoint: ServerEndpoint): Record<string, unknown> {
  const localhost = nameOf(endpoint, 'localhost');
  const notify = nameOf(endpoint, 'dsn.notify');
  const ret = nameOf(endpoint, 'dsn.ret');
  const heloName = reader.text(localhost);
  reader.used(localhost, 'transport.heloName: the name given with EHLO');
  reader.origin('/transport/heloName', localhost);

  const whens = reader
    .text(notify)
    ?.toLowerCase()
    .split(',')
    .map((when) => when.trim());
  const known = ['never', 'success', 'failure', 'delay'];
  const right = whens?.every((when) => known.includes(when)) && (whens.length === 1 || !whens.includes('never'));
  if (whens && !right) reader.wrong(notify, 'must be NEVER, or some of SUCCESS, FAILURE and DELAY separated by commas');
  reader.used(notify, 'transport.dsn.notify, for mail that does not say itself');

  const returned = reader.text(ret)?.toUpperCase();
  if (returned !== undefined && returned !== 'FULL' && returned !== 'HDRS') reader.wrong(ret, 'must be FULL or HDRS');
  reader.used(ret, 'transport.dsn.ret, for mail that does not say itself');

  const dsn = {
    ...(whens && right ? { notify: [...new Set(whens)] } : {}),
    ...(returned === 'FULL' ? { ret: 'full' } : returned === 'HDRS' ? { ret: 'headers' } : {}),
  };
  return {
    ...(heloName === undefined ? {} : { heloName }),
    ...(Object.keys(dsn).length === 0 ? {} : { dsn }),
  };
}
