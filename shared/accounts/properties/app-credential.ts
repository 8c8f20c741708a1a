import type { NewSecret } from './new-secrets.ts';
import type { PropertyReader } from './property-reader.ts';

/** What the app that signs in to Entra ID is called in the properties. */
export const appProperties = ['client.id', 'tenant.id', 'client.secret'] as const;

/**
 * The credential of an endpoint that signs in as an app; `field` is where it stands in the account. The secret's value goes
 * to `secrets`; without one, the secret of that name is taken to be in Key Vault.
 */
export function appCredential(
  reader: PropertyReader,
  account: string,
  field: string,
  secrets: NewSecret[],
): Record<string, unknown> {
  const secret = `${account}-client-secret`;
  const [clientId, tenantId] = (['client.id', 'tenant.id'] as const).map((name) => {
    const key = name === 'client.id' ? 'clientId' : 'tenantId';
    reader.origin(`${field}/${key}`, name);
    reader.used(name, `credential.${key}`);
    if (!reader.has(name)) reader.wrong(name, 'is required to sign in as an app', `${field}/${key}`);
    return reader.text(name);
  });
  // Entra ID makes client secrets of letters, digits and `-._~`: quotes around one are not its own.
  const value = reader.text('client.secret');
  if (value !== undefined) secrets.push({ name: secret, value, property: 'client.secret' });
  reader.used('client.secret', `kept in Key Vault as ${secret}`);
  return {
    type: 'clientSecret',
    ...(tenantId === undefined ? {} : { tenantId }),
    ...(clientId === undefined ? {} : { clientId }),
    secret,
  };
}
