import { unreachableSince } from '../api/connection.ts';
import { Time } from './time.tsx';

/** Says while the service cannot be reached. What is on the screen stays, and is loaded anew when it is back. */
export function ConnectionNotice() {
  const since = unreachableSince.value;
  return (
    <div role="status" class={since ? 'notice bad' : 'hidden'}>
      {since && (
        <>
          {navigator.onLine ? 'The service cannot be reached' : 'This computer is offline'} since{' '}
          <Time at={since.toISOString()} />. What you see is from before, and what you typed is kept; the page goes on
          by itself.
        </>
      )}
    </div>
  );
}
