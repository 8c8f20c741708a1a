import type { ComponentType } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { Button } from './button.tsx';
import { Page } from './page.tsx';

/**
 * A screen that is loaded when it is first looked at; the one before stays until it is there. One that could not be
 * loaded says so, and is tried again by its button and by the next navigation.
 */
export function lazyScreen(load: () => Promise<ComponentType>): ComponentType {
  let Loaded: ComponentType | undefined;
  /** The address at which it could not be loaded. */
  let failedAt: string | undefined;
  let loading: Promise<void> | undefined;
  const tryAt = async (url: string) => {
    failedAt = undefined;
    try {
      Loaded = await load();
    } catch {
      failedAt = url;
    }
    loading = undefined;
  };
  return function LazyScreen() {
    const { url } = useLocation();
    const [tries, setTries] = useState(0);
    const [, shown] = useState(0);
    const waited = useRef<Promise<void>>(undefined);
    useEffect(
      () => () => {
        failedAt = undefined;
      },
      [url],
    );
    if (Loaded) return <Loaded />;
    if (failedAt === url)
      return (
        <NotLoaded
          again={tries > 0}
          load={async () => {
            await tryAt(url);
            setTries(tries + 1);
          }}
        />
      );
    loading ??= tryAt(url);
    if (waited.current !== loading) {
      waited.current = loading;
      void loading.then(() => shown((before) => before + 1));
    }
    // The router keeps the screen before until then. It never fails: nobody would hear of that.
    throw loading;
  };
}

function NotLoaded({ again, load }: { readonly again: boolean; readonly load: () => Promise<void> }) {
  return (
    <Page title="This screen could not be loaded">
      <p>The connection was lost, or a new version of the service is there. What you typed on other screens is kept.</p>
      <div class="actions">
        <Button kind="main" onClick={load}>
          Load it again
        </Button>
      </div>
      <div role="status">
        {again && (
          <p>
            It could not be loaded this time either. <a href={location.href}>Load the whole page again</a>: the browser
            asks first where something that was typed would be lost.
          </p>
        )}
      </div>
    </Page>
  );
}
