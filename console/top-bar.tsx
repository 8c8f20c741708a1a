import { useLocation } from 'preact-iso';
import { session, setSession, signInAddress, signOutAddress } from './api/session.ts';
import { base } from './parts/address.ts';
import { leaveAll } from './parts/kept.ts';
import { topScreens } from './screens/screens.ts';

/** The bar at the top: the screens, and who is signed in. */
export function TopBar() {
  const { path } = useLocation();
  return (
    <header class="top">
      <a class="brand" href={`${base}/accounts`}>
        Mailroom
      </a>
      <nav aria-label="Screens">
        <ul>
          {topScreens.map((screen) => {
            const within = 'also' in screen ? [screen.path, screen.also] : [screen.path];
            const here = within.some((each) => path === base + each || path.startsWith(`${base + each}/`));
            return (
              <li key={screen.path}>
                <a href={base + screen.path} aria-current={here ? 'page' : undefined}>
                  {screen.name}
                </a>
              </li>
            );
          })}
        </ul>
      </nav>
      <Who />
    </header>
  );
}

/** Forgets the key, and with the page all that it has shown. */
function forget(): void {
  leaveAll();
  setSession({ by: 'nothing' });
  location.reload();
}

function Who() {
  const { value } = session;
  if (value.by === 'key')
    return (
      <button type="button" class="plain" onClick={forget}>
        Forget the key
      </button>
    );
  if (value.by === 'entra')
    return value.signedIn ? <a href={signOutAddress}>Sign out</a> : <a href={signInAddress()}>Sign in</a>;
  return null;
}
