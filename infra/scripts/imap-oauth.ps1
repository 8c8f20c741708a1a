<#
.SYNOPSIS
Lets an application sign in to chosen mailboxes by IMAP, POP3 or SMTP with OAuth 2 tokens of its own. Run again, it changes
only what is missing. -WhatIf says what would be done and changes nothing.

.DESCRIPTION
Needs a connection to Exchange Online (Connect-ExchangeOnline) as an Exchange administrator. The application has the
permissions IMAP.AccessAsApp, POP.AccessAsApp or SMTP.SendAsApp from register-app.sh or grant-managed-identity.sh.
https://learn.microsoft.com/exchange/client-developer/legacy-protocols/how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth

.EXAMPLE
./imap-oauth.ps1 -Name corpus -AppId $appId -ObjectId $objectId -Mailbox corpus@example.com -Protocol IMAP, SMTP
#>
[CmdletBinding(SupportsShouldProcess)]
param(
    # Name of the account in Mailroom.
    [Parameter(Mandatory)] [ValidatePattern('^[a-z0-9][a-z0-9-]{0,31}$')] [string] $Name,
    # Client id of the application, or of the managed identity.
    [Parameter(Mandatory)] [guid] $AppId,
    # Object id of its enterprise application, or principal id of the managed identity.
    [Parameter(Mandatory)] [guid] $ObjectId,
    [Parameter(Mandatory)] [string[]] $Mailbox,
    [ValidateSet('IMAP', 'POP', 'SMTP')] [string[]] $Protocol = @('IMAP'),
    # Also switches the protocols on for the mailboxes; without it, those that are off are only listed.
    [switch] $EnableProtocol
)
$ErrorActionPreference = 'Stop'
. "$PSScriptRoot/exchange-principal.ps1"
Assert-ExchangeConnection

$principal = Find-Principal $AppId $ObjectId
if (-not $principal -and $PSCmdlet.ShouldProcess("application $AppId", 'register it in Exchange')) {
    $null = New-ServicePrincipal -AppId "$AppId" -ObjectId "$ObjectId" -DisplayName "Mailroom $Name"
    $principal = Find-Principal $AppId $ObjectId
}
# How a permission names its service principal is not documented: any of its names counts. One that is given twice is one.
$names = if ($principal) { $principal.Identity, $principal.ObjectId, $principal.DisplayName, $principal.Name, $principal.Sid | ForEach-Object { "$_" } | Where-Object { $_ } }

foreach ($each in $Mailbox) {
    $has = @(Get-MailboxPermission -Identity $each | Where-Object {
            "$($_.User)" -in $names -and "$($_.AccessRights)" -match 'FullAccess' -and "$($_.Deny)" -ne 'True'
        })
    if ($has.Count -eq 0 -and $PSCmdlet.ShouldProcess($each, "give $AppId FullAccess")) {
        $null = Add-MailboxPermission -Identity $each -User $principal.Identity -AccessRights FullAccess
    }
    $client = Get-CASMailbox -Identity $each
    # SmtpClientAuthenticationDisabled is empty where the setting of the organisation holds.
    $smtpOff = $client.SmtpClientAuthenticationDisabled
    if ($null -eq $smtpOff -or "$smtpOff" -eq '') { $smtpOff = (Get-TransportConfig).SmtpClientAuthenticationDisabled }
    $off = @{ IMAP = "$($client.ImapEnabled)" -ne 'True'; POP = "$($client.PopEnabled)" -ne 'True'; SMTP = "$smtpOff" -eq 'True' }
    $change = @{}
    foreach ($one in $Protocol | Where-Object { $off[$_] }) {
        if (-not $EnableProtocol) { Write-Warning "$one is switched off for $each; -EnableProtocol switches it on." }
        switch ($one) {
            'IMAP' { $change.ImapEnabled = $true }
            'POP' { $change.PopEnabled = $true }
            'SMTP' { $change.SmtpClientAuthenticationDisabled = $false }
        }
    }
    if ($EnableProtocol -and $change.Count -gt 0 -and $PSCmdlet.ShouldProcess($each, "switch on $($change.Keys -join ', ')")) {
        Set-CASMailbox -Identity $each @change
    }
}
