import { app } from '@azure/functions';

// Mail of 150 MB is streamed in both directions.
app.setup({ enableHttpStream: true });

// A missing or wrong setting is one clear line at start, not at the first request.
app.hook.appStart(async () => {
  const { checkSettings } = await import('./app/check-settings.ts');
  checkSettings();
});

// The process ends in 5 s: what is under way ends or is given back (see Shutdown).
app.hook.appTerminate(async () => {
  const { stopServices } = await import('./app/services.ts');
  await stopServices();
});

import './account-delete.ts';
import './account-folders.ts';
import './account-get.ts';
import './account-import.ts';
import './account-messages-send.ts';
import './account-patch.ts';
import './account-put.ts';
import './account-retry.ts';
import './account-run-get.ts';
import './account-runs-list.ts';
import './account-secret-put.ts';
import './account-stats.ts';
import './account-status.ts';
import './account-verify.ts';
import './account-webhook-get.ts';
import './account-webhook-replay.ts';
import './account-webhook-test.ts';
import './accounts-list.ts';
import './asset-attachment.ts';
import './asset-delete.ts';
import './asset-get.ts';
import './asset-html.ts';
import './asset-mime.ts';
import './assets-list.ts';
import './console.ts';
import './console-file.ts';
import './docs.ts';
import './docs-script.ts';
import './docs-style.ts';
import './graph-notifications.ts';
import './health.ts';
import './health-key.ts';
import './import-schedule.ts';
import './mail-import.ts';
import './mail-send.ts';
import './mail-webhooks.ts';
import './message-cancel.ts';
import './message-get.ts';
import './message-mime.ts';
import './message-resend.ts';
import './message-retry.ts';
import './messages-list.ts';
import './messages-send.ts';
import './openapi.ts';
import './outbox-recovery.ts';
import './outbox-release.ts';
import './quarantine-delete.ts';
import './quarantine-get.ts';
import './quarantine-list.ts';
import './quarantine-mime.ts';
import './quarantine-replay.ts';
import './retention.ts';
import './stats.ts';
import './sweep.ts';
import './upload-create.ts';
import './z-unknown-route.ts';
