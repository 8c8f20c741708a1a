import { readAddresses } from '../../../mime/addresses.ts';
import { HeaderBlock } from '../../../mime/header-block.ts';
import { defaultMimeLimits } from '../../../mime/limits.ts';
import type { Defects } from '../../../mime/mail.ts';
import type { FrozenMail } from '../../transport.ts';

/** Fields of a header section as they stand, each with its line ends. */
function fieldsOf(header: Buffer): readonly { readonly name: string; readonly raw: Buffer }[] {
  const fields: { name: string; raw: Buffer }[] = [];
  for (let from = 0; from < header.length; ) {
    let end = header.indexOf(0x0a, from);
    end = end < 0 ? header.length : end + 1;
    const line = header.subarray(from, end);
    const last = fields.at(-1);
    if ((line[0] === 0x20 || line[0] === 0x09) && last) {
      last.raw = Buffer.concat([last.raw, line]);
    } else {
      const name = /^([!-9;-~]+)\s*:/.exec(line.toString('latin1', 0, 100))?.[1]?.toLowerCase() ?? '';
      fields.push({ name, raw: line });
    }
    from = end;
  }
  return fields;
}

/** Where the header section ends, its empty line not counted. */
export function headerLength(mime: Buffer): number {
  if (mime.indexOf('\r\n', 0, 'latin1') === 0) return 0;
  const end = mime.indexOf('\r\n\r\n', 0, 'latin1');
  return end < 0 ? mime.length : end + 2;
}

/** What the header of a mail says about its people. */
export interface HeaderPeople {
  readonly from: { readonly name: string; readonly address: string } | undefined;
  readonly to: readonly string[];
  readonly cc: readonly string[];
}

/** Reads From, To and Cc of a header section; what is no address is left out. */
export function peopleOf(header: Buffer): HeaderPeople {
  const defects: Defects = new Set();
  const block = new HeaderBlock(defaultMimeLimits, defects);
  for (const { raw } of fieldsOf(header)) {
    for (const line of raw.toString('latin1').split(/\r?\n/)) {
      if (line !== '') block.line(Buffer.from(line, 'latin1'));
    }
  }
  const read = (name: string) => readAddresses(block.all(name), defaultMimeLimits.addresses, defects);
  const plain = (name: string) => read(name).flatMap(({ address }) => (address === '' ? [] : [address]));
  return { from: read('from').find(({ address }) => address !== ''), to: plain('to'), cc: plain('cc') };
}

const lower = (addresses: readonly string[]) => new Set(addresses.map((address) => address.toLowerCase()));

/** An address field, one address a line: lines stay short, whatever the number (RFC 5322 section 2.1.1). */
function addressField(name: string, addresses: readonly string[]): string {
  return addresses.length === 0 ? '' : `${name}: ${addresses.join(',\r\n ')}\r\n`;
}

/**
 * The text of a mail whose header names exactly the recipients of its envelope: Graph knows no envelope and sends to
 * whom the header names. Recipients in no field get a Bcc field, which Exchange takes out again. Those who were reached
 * by an earlier attempt are taken out of To and Cc: nobody gets a mail twice.
 */
export function withRecipients(mime: Buffer, mail: FrozenMail): Buffer {
  const length = headerLength(mime);
  const header = mime.subarray(0, length);
  const { to, cc } = peopleOf(header);
  const wanted = lower(mail.envelope.to);
  const named = lower([...to, ...cc]);
  const bcc = mail.envelope.to.filter((address) => !named.has(address.toLowerCase()));
  const reached = [...named].some((address) => !wanted.has(address));
  const kept = (addresses: readonly string[]) => addresses.filter((address) => wanted.has(address.toLowerCase()));
  const rewritten = reached ? ['to', 'cc', 'bcc'] : ['bcc'];
  const rest = fieldsOf(header).filter(({ name }) => !rewritten.includes(name));
  const added = `${reached ? addressField('To', kept(to)) + addressField('Cc', kept(cc)) : ''}${addressField('Bcc', bcc)}`;
  return Buffer.concat([Buffer.from(added, 'utf8'), ...rest.map(({ raw }) => raw), mime.subarray(length)]);
}
