import { computed, signal } from '@preact/signals';

/** How this tab signs in. */
export type Session =
  /** It is being found out. */
  | { readonly by: 'unknown' }
  /** Somebody has to enter a key; `reason`: why the one before does not do. */
  | { readonly by: 'nothing'; readonly reason?: string }
  | { readonly by: 'key'; readonly key: string }
  /** Entra ID signs in, in front of the app. `signedIn` false: it has to be done (again). */
  | { readonly by: 'entra'; readonly signedIn: boolean };

/** The tab's own store: gone with the tab, and never sent by the browser itself. */
const place = 'mailroom.key';

const stored = sessionStorage.getItem(place);
const current = signal<Session>({ by: 'unknown' });
const counter = signal(0);

/** How this tab signs in now. */
export const session = computed(() => current.value);

/** Another number for each sign-in: what is known of rights is of one of them. */
export const signIn = computed(() => counter.value);

/** The key of the tab before it was reloaded. */
export const storedKey: string | undefined = stored ?? undefined;

/** The key to send, if there is one. */
export function currentKey(): string | undefined {
  const { value } = current;
  return value.by === 'key' ? value.key : undefined;
}

/** Signs in anew. A key is kept until the tab is closed. */
export function setSession(next: Session): void {
  if (next.by === 'key') sessionStorage.setItem(place, next.key);
  else sessionStorage.removeItem(place);
  current.value = next;
  counter.value += 1;
}

/** Where Entra ID signs in, and comes back to this screen (App Service authentication). */
export function signInAddress(): string {
  const back = location.pathname + location.search;
  return `/.auth/login/aad?post_login_redirect_uri=${encodeURIComponent(back)}`;
}

/** Where Entra ID signs out, and comes back to the first screen. */
export const signOutAddress = `/.auth/logout?post_logout_redirect_uri=${encodeURIComponent('/api/console/accounts')}`;
