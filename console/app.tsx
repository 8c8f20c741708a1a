import { useEffect, useState } from 'preact/hooks';
import { ErrorBoundary, LocationProvider, Route, Router, useLocation } from 'preact-iso';
import { recovered } from './api/connection.ts';
import { start } from './api/permissions.ts';
import { session } from './api/session.ts';
import { base } from './parts/address.ts';
import { ConnectionNotice } from './parts/connection-notice.tsx';
import { Page } from './parts/page.tsx';
import { SignIn } from './parts/sign-in.tsx';
import { Toasts } from './parts/toast.tsx';
import { screens } from './screens/screens.ts';
import { TopBar } from './top-bar.tsx';

/** The whole console: what stays on every screen, and the screen that the address names. */
export function App() {
  const { value } = session;
  const isOpen = value.by === 'unknown' || (value.by === 'entra' && !value.signedIn);
  // Where nobody answered how to sign in, somebody does once the service is there again.
  useEffect(() => {
    if (isOpen) void start();
  }, [recovered.value]);
  const [seen, setSeen] = useState(false);
  const signedIn = value.by === 'key' || (value.by === 'entra' && value.signedIn);
  if (signedIn && !seen) setSeen(true);
  return (
    <LocationProvider scope={base}>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <TopBar />
      <ConnectionNotice />
      <main id="main" tabIndex={-1}>
        {/* A screen that was seen stays, with what was typed, while somebody signs in again. */}
        {signedIn || seen ? <Screens /> : <Waiting />}
      </main>
      {value.by !== 'unknown' && !signedIn && <SignIn again={seen} />}
      <Toasts />
    </LocationProvider>
  );
}

function Waiting() {
  return session.value.by === 'unknown' ? <p class="quiet">Looking how to sign in …</p> : null;
}

function Screens() {
  const { url } = useLocation();
  const [broken, setBroken] = useState<{ readonly url: string; readonly error: Error }>();
  // The next navigation leads to another screen, which may do.
  if (broken?.url === url) {
    return (
      <Page title="This screen could not be shown">
        <p>
          That is a fault of the console. Go to another screen, or <a href={location.href}>load the page again</a>.
        </p>
        <p class="quiet">{broken.error.message}</p>
      </Page>
    );
  }
  return (
    <ErrorBoundary onError={(error) => setBroken({ url, error })}>
      <Router>
        {screens.map(({ path, component }) => (
          <Route key={path} path={`${base}${path}`} component={component} />
        ))}
        <Route default component={NoSuchScreen} />
      </Router>
    </ErrorBoundary>
  );
}

function NoSuchScreen() {
  return (
    <Page title="There is no such screen">
      <p>
        Nothing is at this address. <a href={`${base}/accounts`}>Go to the accounts</a>.
      </p>
    </Page>
  );
}
