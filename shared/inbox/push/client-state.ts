import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { subscriptionKey } from './keys.ts';

/** Which subscription a notification is of. Each wish for one has a generation of its own. */
export interface SubscriptionName {
  readonly account: string;
  /** As `folderKey` makes it. */
  readonly folder: string;
  readonly generation: string;
}

/** A name in a text of at most 74 characters; it holds nothing that a path or a query would encode. */
export const nameText = ({ account, folder, generation }: SubscriptionName): string =>
  `${account}.${folder}.${generation}`;

const namePattern = /^([a-z0-9][a-z0-9-]{0,31})\.([0-9a-f]{24})\.([0-9a-f]{16})$/;

/** The name that a text is; undefined for any other text. */
export function parseName(text: string): SubscriptionName | undefined {
  const [, account, folder, generation] = namePattern.exec(text) ?? [];
  return account && folder && generation ? { account, folder, generation } : undefined;
}

/** Of a new wish: 16 hex digits of chance. */
export const newGeneration = (): string => randomBytes(8).toString('hex');

/** Key of the row that a name is of. */
export const rowKeyOf = ({ account, folder }: SubscriptionName): string => subscriptionKey(account, folder);

/** HMAC-SHA256 in base64url. */
const codeLength = 43;

/**
 * What Graph gives back with each notification of a subscription: its name, and a code that only the service can make.
 * So a forged notification is known without a look at any table. 118 characters at most; Graph takes 128.
 */
export function clientState(key: string, name: SubscriptionName): string {
  const text = nameText(name);
  return `${text}.${codeOf(key, text)}`;
}

/** What a `clientState` has to be checked by; undefined for a text that is none in its form. */
export function parseClientState(text: string): { readonly name: SubscriptionName; readonly code: string } | undefined {
  const name = parseName(text.slice(0, -codeLength - 1));
  return name && text.at(-codeLength - 1) === '.' ? { name, code: text.slice(-codeLength) } : undefined;
}

/** Compares in constant time. */
export function isOwnCode(key: string, name: SubscriptionName, code: string): boolean {
  const [own, given] = [Buffer.from(codeOf(key, nameText(name))), Buffer.from(code)];
  return own.length === given.length && timingSafeEqual(own, given);
}

function codeOf(key: string, text: string): string {
  return createHmac('sha256', key).update(`mailroom graph notifications\n${text}`).digest('base64url');
}
