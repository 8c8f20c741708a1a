import libmime from 'libmime';
import addressparser from 'nodemailer/lib/addressparser';
import { z } from 'zod';
import { decodedText } from './mime-reader.ts';

export interface Address {
  readonly name: string;
  readonly address: string;
}

/** The mailboxes of an address field (RFC 5322 section 3.4), groups flattened. */
export function readAddresses(field: string | undefined): readonly Address[] {
  if (field === undefined || field.trim() === '') return [];
  return addressparser(field, { flatten: true })
    .map(({ name, address }) => ({ name: decodedText(name), address: (address ?? '').trim() }))
    .filter(({ name, address }) => name !== '' || address !== '');
}

const recipientSchema = z.object({
  emailAddress: z.object({ address: z.string().nullish(), name: z.string().nullish() }).nullish(),
});

/** Microsoft's `recipient` as an address. */
export function fromRecipient(value: unknown): Address | undefined {
  const parsed = recipientSchema.safeParse(value);
  const address = parsed.data?.emailAddress?.address?.trim() ?? '';
  const name = parsed.data?.emailAddress?.name ?? '';
  return address === '' && name === '' ? undefined : { name, address };
}

/** An address as Graph's type `recipient`; without a name it has itself as one. */
export function toRecipient({ name, address }: Address) {
  return { emailAddress: { name: name === '' ? address : name, address } };
}

/** Good enough to be somebody's mailbox: what Exchange refuses with ErrorInvalidRecipients lacks one of these. */
export function isDeliverable({ address }: Address): boolean {
  return /^[^\s@<>,;]+@[^\s@<>,;]+$/.test(address);
}

/** An address field's value, folded (RFC 5322 section 2.2.3). */
export function addressField(addresses: readonly Address[]): string {
  return addresses.map(formatted).join(',\r\n ');
}

function formatted({ name, address }: Address): string {
  if (name === '') return `<${address}>`;
  const plain = /^[\x20-\x7e]*$/.test(name);
  const words = plain ? `"${name.replace(/["\\]/g, '\\$&')}"` : libmime.encodeWords(name, 'B', 52).replaceAll('\n', '');
  return `${words} <${address}>`;
}
