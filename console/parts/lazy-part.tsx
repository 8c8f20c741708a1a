import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { Button } from './button.tsx';

/** A part that is loaded when it is first shown, while the rest of the screen is there already. */
export function lazyPart<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  let loaded: ComponentType<P> | undefined;
  return function LazyPart(props: P) {
    const [Part, setPart] = useState<ComponentType<P> | undefined>(() => loaded);
    const [failed, setFailed] = useState(false);
    const tryToLoad = async () => {
      try {
        loaded ??= await load();
        setPart(() => loaded);
        setFailed(false);
      } catch {
        setFailed(true);
      }
    };
    useEffect(() => void tryToLoad(), []);
    if (failed)
      return (
        <div class="actions">
          <p class="quiet">This part could not be loaded.</p>
          <Button onClick={tryToLoad}>Load it again</Button>
        </div>
      );
    return Part ? <Part {...props} /> : <p class="quiet">Loading …</p>;
  };
}
