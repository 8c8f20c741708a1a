import type { ComponentType } from 'preact';
import { lazyScreen } from '../parts/lazy-screen.tsx';

export interface Screen {
  /** Behind `/api/console`; `:name` stands for one segment. */
  readonly path: string;
  readonly component: ComponentType;
}

/** Every screen, loaded when it is first looked at. See console/README.md, "Making a screen". */
export const screens: readonly Screen[] = [
  { path: '/accounts', component: lazyScreen(async () => (await import('./accounts/accounts.tsx')).Accounts) },
  {
    path: '/accounts/:account',
    component: lazyScreen(async () => (await import('./account/account.tsx')).AccountScreen),
  },
  {
    path: '/accounts/:account/settings',
    component: lazyScreen(async () => (await import('./account/settings.tsx')).Settings),
  },
  {
    path: '/accounts/:account/import',
    component: lazyScreen(async () => (await import('./import/import-setup.tsx')).ImportSetup),
  },
  { path: '/connect', component: lazyScreen(async () => (await import('./connect/connect.tsx')).Connect) },
  { path: '/figures', component: lazyScreen(async () => (await import('./figures/figures.tsx')).Figures) },
  { path: '/outbox', component: lazyScreen(async () => (await import('./outbox/outbox.tsx')).Outbox) },
  { path: '/outbox/write', component: lazyScreen(async () => (await import('./outbox/write.tsx')).Write) },
  { path: '/outbox/:id', component: lazyScreen(async () => (await import('./outbox/message.tsx')).MessageScreen) },
  { path: '/assets', component: lazyScreen(async () => (await import('./assets/assets.tsx')).Assets) },
  { path: '/assets/:id', component: lazyScreen(async () => (await import('./assets/asset.tsx')).AssetScreen) },
  { path: '/quarantine', component: lazyScreen(async () => (await import('./quarantine/quarantine.tsx')).Quarantine) },
  {
    path: '/quarantine/:id',
    component: lazyScreen(async () => (await import('./quarantine/quarantined-mail.tsx')).QuarantinedMailScreen),
  },
  { path: '/webhook', component: lazyScreen(async () => (await import('./webhook/webhooks.tsx')).Webhooks) },
  {
    path: '/webhook/:account',
    component: lazyScreen(async () => (await import('./webhook/webhook.tsx')).WebhookScreen),
  },
];

/** What the bar at the top leads to, in the order in which people need it. */
export const topScreens = [
  { path: '/accounts', name: 'Accounts', also: '/connect' },
  { path: '/outbox', name: 'Outbox' },
  { path: '/assets', name: 'Assets' },
  { path: '/quarantine', name: 'Quarantine' },
  { path: '/webhook', name: 'Webhooks' },
  { path: '/figures', name: 'Figures' },
] as const;
