/** What the reader keeps or does at most, so that no mail can cost more memory or time than these say. */
export interface MimeLimits {
  /** Bytes of UTF-8 of a text or html body kept in the description; a longer one goes to `longBody` as a whole. */
  readonly inlineText: number;
  /** Bytes kept of one header field; the rest of the field is left out. */
  readonly headerField: number;
  /** Bytes kept of one address field, which may rightly be long. */
  readonly addressField: number;
  /** Bytes kept of all fields of one header section together. */
  readonly headerBlock: number;
  /** Multiparts inside multiparts; a deeper one is kept whole as an attachment. */
  readonly depth: number;
  /** Parts that are no multiparts; what follows the last is kept whole as one more attachment. */
  readonly parts: number;
  /** Addresses kept of one kind of field. */
  readonly addresses: number;
  /** Message-IDs kept of `References`. */
  readonly references: number;
  /** `Authentication-Results` fields read. */
  readonly authenticationResults: number;
  /** Bytes in front of the first delimiter that are taken for a preamble; more are taken for a body. */
  readonly preamble: number;
}

const KIB = 1024;

export const defaultMimeLimits: MimeLimits = {
  inlineText: 256 * KIB, // the contract: `text` and `html` of an asset
  headerField: 64 * KIB, // Exchange takes 256 KiB for a whole header section, Postfix 100 KiB a field
  addressField: 256 * KIB, // 1,000 addresses of 260 bytes, the longest that SMTP carries
  headerBlock: 1024 * KIB, // all address fields at their longest
  depth: 50, // mail clients seldom nest more than 5
  parts: 1_000, // each may be a blob
  addresses: 1_000,
  references: 500,
  authenticationResults: 20,
  preamble: 64 * KIB, // usually one sentence for readers without MIME
};
