import { z } from 'zod';
import { newestFirst } from '../platform/ids.ts';

const addressSchema = z.object({ name: z.string(), address: z.string() });

const assetAttachmentSchema = z.object({
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

/** What a server reports about a mail that was sent (RFC 3464). */
const bounceSchema = z.object({
  recipients: z.array(
    z.object({
      address: z.string(),
      action: z.enum(['failed', 'delayed', 'delivered', 'relayed', 'expanded']).nullable(),
      /** An enhanced status code (RFC 3463). */
      status: z.string().nullable(),
      diagnostic: z.string().nullable(),
    }),
  ),
  /** Of the mail that is reported about. */
  messageId: z.string().nullable(),
  /** Id of that mail, where this service has sent it. */
  messageRecord: z.string().optional(),
});

const orNull = z.string().nullable();

/** What a server found out about who sent a mail (RFC 8601); methods, results, types and names are in lower case. */
export const authenticationResultsSchema = z.object({
  /** Who says so. Exchange Online gives no name. */
  authservId: orNull,
  results: z.array(
    z.object({
      method: z.string(),
      result: z.string(),
      reason: orNull,
      /** `header.d=example.org` has ptype `header`, property `d`. */
      properties: z.array(z.object({ ptype: orNull, property: z.string(), value: z.string() })),
    }),
  ),
  /** What was read, in one line. */
  field: z.string(),
});

/** `asset.json`: what a check-in leaves behind (design section 6). Instants are RFC 3339 in UTC. */
export const assetSchema = z
  .object({
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
    /** Where the bytes are, as long as they are not at `message.eml` yet: see `replacementFolder`. */
    messagePath: z.string().optional(),
    inReplyTo: z.string().nullable(),
    references: z.array(z.string()),
    /** At most 256 KiB of UTF-8 each; a longer body is whole at `textPath`, `htmlPath`. */
    text: z.string().nullable(),
    textPath: z.string().optional(),
    html: z.string().nullable(),
    htmlPath: z.string().optional(),
    attachments: z.array(assetAttachmentSchema),
    /** The content of a bounce, or of another report about a delivery; assets of earlier versions have none. */
    bounce: bounceSchema.nullable().default(null),
    flags: z.object({
      autoSubmitted: z.boolean(),
      bounce: z.boolean(),
      /** Assets of earlier versions have none. */
      list: z.boolean().default(false),
      calendar: z.boolean(),
      encrypted: z.boolean(),
      signed: z.boolean(),
      /** The mail was larger than the account's `maxMessageSize`: headers only. */
      oversize: z.boolean(),
    }),
    /** Stable codes for what is wrong with the mail. */
    defects: z.array(z.string()),
    authenticationResults: z.array(authenticationResultsSchema).meta({
      description:
        'Of the server that took the mail in. Trust them only where `authservId` is the name of that server.',
    }),
  })
  .meta({ id: 'Asset', description: 'What an import left of a mail.' });

export type Asset = z.output<typeof assetSchema>;

/**
 * Part of the path of blobs that are to replace those of an asset. They lie beside them until one write of `asset.json`
 * makes them the asset's, and are then moved to where an asset's blobs lie. So an asset is whole at every moment.
 */
const replacementFolder = 'replacement/';

/** Blobs of an asset in container `assets`; with `replacing`, of what is to replace them, but for the description. */
export function assetPaths(account: string, assetId: string, options: { readonly replacing?: boolean } = {}) {
  const folder = `${account}/${assetId}/`;
  const parts = options.replacing ? `${folder}${replacementFolder}` : folder;
  return {
    folder,
    message: `${parts}message.eml`,
    description: `${folder}asset.json`,
    text: `${parts}text.txt`,
    html: `${parts}body.html`,
    attachment: (n: number, safeName: string) => `${parts}attachments/${n}-${safeName}`,
  };
}

/** Where a blob of a replacement is moved to; undefined for any other blob. */
export function movedPath(path: string): string | undefined {
  const [account = '', asset = '', ...rest] = path.split('/');
  const name = rest.join('/');
  return name.startsWith(replacementFolder) ? `${account}/${asset}/${name.slice(replacementFolder.length)}` : undefined;
}

/** Row of an asset in its account's index: the newest import first. `rest`: its id without the account. */
export function assetIndexKey(importedAt: number, rest: string): string {
  return `a:${newestFirst(importedAt)}:${rest}`;
}
