import { join } from 'node:path';
import { ClientSecretCredential } from '@azure/identity';
import { SecretClient } from '@azure/keyvault-secrets';
import { localCertificate } from '../../local/certificate.ts';
import { identity, type Mailroom } from './mailroom.ts';

/** A person, or another program, at the Key Vault of a test. */
export async function vaultClient(mailroom: Mailroom): Promise<SecretClient> {
  const { ca } = await localCertificate(join(mailroom.directory, 'certificate'));
  const tls = { tlsOptions: { ca } };
  const credential = new ClientSecretCredential(identity.tenantId, identity.clientId, identity.secret, {
    authorityHost: mailroom.entra.authorityHost,
    disableInstanceDiscovery: true,
    ...tls,
  });
  return new SecretClient(mailroom.keyVault.uri, credential, { disableChallengeResourceVerification: true, ...tls });
}
