import type { PropertySheet } from './property-sheet.ts';
import { nameOf, type ServerEnd } from './server-end.ts';

/** What only SMTP has, of the transport. */
export function mapSmtp(sheet: PropertySheet, end: ServerEnd): Record<string, unknown> {
  const localhost = nameOf(end, 'localhost');
  const notify = nameOf(end, 'dsn.notify');
  const ret = nameOf(end, 'dsn.ret');
  const heloName = sheet.text(localhost);
  sheet.used(localhost, 'transport.heloName: the name given with EHLO');
  sheet.origin('/transport/heloName', localhost);

  const whens = sheet
    .text(notify)
    ?.toLowerCase()
    .split(/\s*,\s*/);
  const known = ['never', 'success', 'failure', 'delay'];
  const right = whens?.every((when) => known.includes(when)) && (whens.length === 1 || !whens.includes('never'));
  if (whens && !right) sheet.wrong(notify, 'must be NEVER, or some of SUCCESS, FAILURE and DELAY separated by commas');
  sheet.used(notify, 'transport.dsn.notify, for mail that does not say itself');

  const returned = sheet.text(ret)?.toUpperCase();
  if (returned !== undefined && returned !== 'FULL' && returned !== 'HDRS') sheet.wrong(ret, 'must be FULL or HDRS');
  sheet.used(ret, 'transport.dsn.ret, for mail that does not say itself');

  const dsn = {
    ...(whens && right ? { notify: [...new Set(whens)] } : {}),
    ...(returned === 'FULL' ? { ret: 'full' } : returned === 'HDRS' ? { ret: 'headers' } : {}),
  };
  return {
    ...(heloName === undefined ? {} : { heloName }),
    ...(Object.keys(dsn).length === 0 ? {} : { dsn }),
  };
}
