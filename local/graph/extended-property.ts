/**
 * Extended properties (MAPI) of messages: `String 0x1042`, `Integer 0x0E08`, `String {guid} Name X`, `String {guid} Id 0x8000`.
 * https://learn.microsoft.com/graph/api/resources/extended-properties-overview
 */

const forms =
  /^(\w+) (?:0x([0-9a-f]{1,8})|\{([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\} (?:Name (.+)|Id 0x([0-9a-f]{1,8})))$/i;
const types = ['Binary', 'Boolean', 'Currency', 'Double', 'Integer', 'Long', 'Short', 'Float', 'String', 'SystemTime'];

/** The form in which Exchange answers an id: small hexadecimal digits without leading zeros. Undefined: no such id. */
export function propertyId(text: string): string | undefined {
  const match = forms.exec(text.trim());
  if (!match) return undefined;
  const [, type = '', tag, set, name, number] = match;
  const known = types.find((one) => one.toLowerCase() === type.toLowerCase());
  if (!known) return undefined;
  const hex = (digits: string) => `0x${digits.toLowerCase().replace(/^0+(?=.)/, '')}`;
  if (tag !== undefined) return `${known} ${hex(tag)}`;
  const rest = name === undefined ? `Id ${hex(number ?? '0')}` : `Name ${name}`;
  return `${known} {${set?.toLowerCase() ?? ''}} ${rest}`;
}

/** PidTagInReplyToId and PidTagInternetReferences: headers that a message of properties can only have this way. */
export const inReplyToId = 'String 0x1042';
export const referencesId = 'String 0x1039';
/** PidTagInternetMessageId, PidTagMessageSize (as 32 and, as clients also ask for it, 64 bits). */
export const messageIdId = 'String 0x1035';
export const sizeIds: readonly string[] = ['Integer 0xe08', 'Long 0xe08'];
/** Belong to the service: writing them is refused. */
export const readOnlyIds: readonly string[] = [...sizeIds, 'String 0x7d'];
