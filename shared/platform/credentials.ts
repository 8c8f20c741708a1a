import type { TokenCredential } from '@azure/identity';
import type { IdentitySettings, Settings } from './settings.ts';

async function create(identity: IdentitySettings, authorityHost: string | undefined): Promise<TokenCredential> {
  const { ClientCertificateCredential, ClientSecretCredential, ManagedIdentityCredential } = await import(
    '@azure/identity'
  );
  // A private authority is not known to Microsoft's instance discovery, so it must not be asked (design section 7).
  const options = authorityHost ? { authorityHost, disableInstanceDiscovery: true } : {};
  switch (identity.kind) {
    case 'managedIdentity':
      return identity.clientId
        ? new ManagedIdentityCredential({ clientId: identity.clientId })
        : new ManagedIdentityCredential();
    case 'clientSecret':
      return new ClientSecretCredential(identity.tenantId, identity.clientId, identity.secret, options);
    case 'certificate':
      return new ClientCertificateCredential(identity.tenantId, identity.clientId, identity.path, options);
  }
}

/** The app's own identity: one credential object per process, so that its tokens are cached. */
export function appCredential(settings: Settings): () => Promise<TokenCredential> {
  let credential: Promise<TokenCredential> | undefined;
  return () => {
    credential ??= create(settings.identity, settings.authorityHost);
    return credential;
  };
}

/** The identity the mail storage is opened with: the app's own unless `MailStorage__clientId` or `__credential` names another. */
export function storageCredential(
  settings: Settings,
  app: () => Promise<TokenCredential>,
): () => Promise<TokenCredential> {
  const { storage } = settings;
  if (storage.kind === 'identity' && (storage.clientId || storage.managedIdentity)) {
    const clientId = storage.clientId ?? settings.identity.clientId;
    let credential: Promise<TokenCredential> | undefined;
    return () => {
      credential ??= create({ kind: 'managedIdentity', clientId }, settings.authorityHost);
      return credential;
    };
  }
  return app;
}
