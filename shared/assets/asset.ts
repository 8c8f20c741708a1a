import { z } from 'zod';
import { newestFirst } from '../platform/ids.ts';

const addressSchema = z.object({ name: z.string(), address: z.string() });

export const assetAttachmentSchema = z.object({
  n: z.int(),
  filename: z.string().nullable(),
  contentType: z.string(),
  size: z.int(),
  sha256: z.string(),
  contentId: z.string().nullable(),
  inline: z.boolean(),
  /** Blob in container `assets`. */
  path: z.string(),
});

/** `asset.json`: what a check-in leaves behind (design section 6). Instants are RFC 3339 in UTC. */
export const assetSchema = z.object({
  id: z.string(),
  account: z.string(),
  folder: z.string(),
  sourceId: z.string(),
  messageId: z.string().nullable(),
  subject: z.string().nullable(),
  from: z.array(addressSchema),
  to: z.array(addressSchema),
  cc: z.array(addressSchema),
  replyTo: z.array(addressSchema),
  date: z.string().nullable(),
  receivedAt: z.string().nullable(),
  importedAt: z.string(),
  /** Bytes and SHA-256 of `message.eml`. */
  size: z.int(),
  sha256: z.string(),
  inReplyTo: z.string().nullable(),
  references: z.array(z.string()),
  /** At most 256 KiB of UTF-8 each; a longer body is whole at `textPath`, `htmlPath`. */
  text: z.string().nullable(),
  textPath: z.string().optional(),
  html: z.string().nullable(),
  htmlPath: z.string().optional(),
  attachments: z.array(assetAttachmentSchema),
  flags: z.object({
    autoSubmitted: z.boolean(),
    bounce: z.boolean(),
    calendar: z.boolean(),
    encrypted: z.boolean(),
    signed: z.boolean(),
    /** The mail was larger than the account's `maxMessageSize`: headers only. */
    oversize: z.boolean(),
  }),
  /** Stable codes for what is wrong with the mail. */
  defects: z.array(z.string()),
  authenticationResults: z.array(z.string()),
});

export type Asset = z.output<typeof assetSchema>;

/** Blobs of an asset in container `assets`. */
export function assetPaths(account: string, assetId: string) {
  const folder = `${account}/${assetId}/`;
  return {
    folder,
    message: `${folder}message.eml`,
    description: `${folder}asset.json`,
    text: `${folder}text.txt`,
    html: `${folder}body.html`,
    attachment: (n: number, safeName: string) => `${folder}attachments/${n}-${safeName}`,
  };
}

/** Row of an asset in its account's index: the newest import first. `rest`: its id without the account. */
export function assetIndexKey(importedAt: number, rest: string): string {
  return `a:${newestFirst(importedAt)}:${rest}`;
}
