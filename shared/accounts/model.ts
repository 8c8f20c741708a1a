import { z } from 'zod';

/** RFC 1123-like, and safe in queue messages, table keys, blob paths and Key Vault names. */
export const accountNameSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'must match ^[a-z0-9][a-z0-9-]{0,31}$')
  .meta({ description: 'Name of an account.' });

/** Key Vault: 1 to 127 letters, digits and dashes. */
export const secretNameSchema = z.string().regex(/^[0-9a-zA-Z-]{1,127}$/, 'must be letters, digits and dashes');

/** No line breaks or NUL anywhere that could reach a protocol or a header (CVE-2025-7962). */
export const singleLine = (max: number) =>
  z
    .string()
    .min(1, 'must not be empty')
    .max(max, `must be at most ${max} characters`)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused.
    .regex(/^[^\u0000-\u001f\u007f]*$/, 'must not contain line breaks or control characters');

const hostSchema = z
  .string()
  .max(253)
  .regex(/^[A-Za-z0-9.:_-]+$/, 'must be a host name or an IP address, without scheme or port');

const authSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('none') }),
  z.strictObject({ type: z.literal('password'), user: singleLine(320), secret: secretNameSchema }),
]);

const tlsSchema = z.strictObject({
  starttls: z.enum(['required', 'preferred', 'never']).default('preferred'),
  /** `"*"` or hosts whose chain and name are not checked; a host missing from a given list is refused. */
  trust: z.union([z.literal('*'), z.array(hostSchema).min(1)]).optional(),
  ca: z.string().max(65_536).nullable().default(null),
  minVersion: z.enum(['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3']).default('TLSv1.2'),
});

/** Longest limit an account may set, in ms: a day. */
const limitSchema = z.int().min(0).max(86_400_000);

/** What every protocol with a host, a port and sockets shares. */
const serverFields = {
  host: hostSchema,
  port: z.int().min(1).max(65_535).optional(),
  auth: authSchema.default({ type: 'none' }),
  tls: tlsSchema.prefault({}),
  connectionTimeout: limitSchema.default(30_000),
  timeout: limitSchema.default(60_000),
};

const transportSchema = z.discriminatedUnion('protocol', [
  z.strictObject({ protocol: z.literal('smtp'), ...serverFields }),
  z.strictObject({ protocol: z.literal('smtps'), ...serverFields }),
]);

const foldersSchema = z.array(singleLine(255)).min(1).max(50).default(['INBOX']);

const storeSchema = z.discriminatedUnion('protocol', [
  z.strictObject({ protocol: z.literal('imap'), ...serverFields, folders: foldersSchema }),
  z.strictObject({ protocol: z.literal('imaps'), ...serverFields, folders: foldersSchema }),
]);

export type TransportConfig = z.output<typeof transportSchema>;
export type StoreConfig = z.output<typeof storeSchema>;
export type ServerAuth = z.output<typeof authSchema>;
export type TlsConfig = z.output<typeof tlsSchema>;
/** Fields every host-and-port endpoint has, whatever its protocol. */
export type ServerConfig = Omit<TransportConfig, 'protocol'>;

/** Defaults of design section 2. */
export const defaultPorts = { smtp: 25, smtps: 465, imap: 143, imaps: 993 } as const;

export { authSchema, storeSchema, tlsSchema, transportSchema };
