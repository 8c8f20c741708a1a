<#
.SYNOPSIS
Lets an application work with chosen mailboxes through Microsoft Graph, and with no other, by Exchange's role based access
control for applications. Run again, it changes only what is missing. -WhatIf says what would be done and changes nothing.

.DESCRIPTION
Needs a connection to Exchange Online (Connect-ExchangeOnline) as a member of Organization Management. Changes count for
Graph after 30 minutes to 2 hours; the test at the end does not wait for that. What Entra ID grants to the application it
may do in every mailbox, whatever is set here: register-app.sh --scoped grants nothing there.
https://learn.microsoft.com/exchange/permissions-exo/application-rbac

.EXAMPLE
./scope-mailboxes.ps1 -Name corpus -AppId $appId -ObjectId $objectId -Mailbox corpus@example.com -OtherMailbox boss@example.com
#>
[CmdletBinding(SupportsShouldProcess, DefaultParameterSetName = 'Mailbox')]
param(
    # Name of the account in Mailroom; scope and assignments are named after it.
    [Parameter(Mandatory)] [ValidatePattern('^[a-z0-9][a-z0-9-]{0,31}$')] [string] $Name,
    # Client id of the application, or of the managed identity.
    [Parameter(Mandatory)] [guid] $AppId,
    # Object id of its enterprise application, or principal id of the managed identity.
    [Parameter(Mandatory)] [guid] $ObjectId,
    # Primary addresses of the mailboxes.
    [Parameter(Mandatory, ParameterSetName = 'Mailbox')]
    [ValidatePattern('^[^\s@''"(){}$`]+@[^\s@''"(){}$`]+$')] [string[]] $Mailbox,
    # Instead: a group whose direct members are the mailboxes.
    [Parameter(Mandatory, ParameterSetName = 'Group')] [string] $Group,
    [ValidateSet('Mail.Read', 'Mail.ReadWrite', 'Mail.Send')]
    [string[]] $Permission = @('Mail.ReadWrite', 'Mail.Send'),
    # A mailbox that must be out of reach; the test at the end fails where it is not.
    [string] $OtherMailbox
)
$ErrorActionPreference = 'Stop'
. "$PSScriptRoot/exchange-principal.ps1"
Assert-ExchangeConnection

if (-not (Find-Principal $AppId $ObjectId)) {
    if ($PSCmdlet.ShouldProcess("application $AppId", 'register it in Exchange')) {
        $null = New-ServicePrincipal -AppId "$AppId" -ObjectId "$ObjectId" -DisplayName "Mailroom $Name"
    }
}

$filter = if ($Group) {
    $groups = @(Get-Group -Identity $Group | Where-Object { $_.DistinguishedName })
    if ($groups.Count -ne 1) { throw "There is no single group $Group." }
    "MemberOfGroup -eq '$($groups[0].DistinguishedName -replace "'", "''")'"
}
else {
    ($Mailbox | ForEach-Object { "PrimarySmtpAddress -eq '$_'" }) -join ' -or '
}
# Exchange writes a filter down with parentheses of its own.
function ConvertTo-Plain([string] $Text) { $Text -replace '[()\s]', '' }

$scopeName = "mailroom-$Name"
$scope = Get-ManagementScope | Where-Object { $_.Name -eq $scopeName }
if (-not $scope) {
    if ($PSCmdlet.ShouldProcess("scope $scopeName", "make it for: $filter")) {
        $null = New-ManagementScope -Name $scopeName -RecipientRestrictionFilter $filter
    }
}
elseif ((ConvertTo-Plain $scope.RecipientFilter) -ne (ConvertTo-Plain $filter)) {
    if ($PSCmdlet.ShouldProcess("scope $scopeName", "change it from $($scope.RecipientFilter) to $filter")) {
        $null = Set-ManagementScope -Identity $scopeName -RecipientRestrictionFilter $filter
    }
}

foreach ($each in $Permission) {
    $assignmentName = "mailroom-$Name-$each"
    $assignment = Get-ManagementRoleAssignment -Role "Application $each" |
        Where-Object { $_.Name -eq $assignmentName }
    if (-not $assignment) {
        if ($PSCmdlet.ShouldProcess("role Application $each", "assign it to $AppId within $scopeName")) {
            $null = New-ManagementRoleAssignment -Name $assignmentName -App "$ObjectId" `
                -Role "Application $each" -CustomResourceScope $scopeName
        }
    }
}

if (-not (Find-Principal $AppId $ObjectId)) { return }
$mistakes = @()
foreach ($address in @($Mailbox | Where-Object { $_ })) {
    $tested = @(Test-ServicePrincipalAuthorization -Identity "$ObjectId" -Resource $address)
    $tested | Format-Table RoleName, AllowedResourceScope, ScopeType, InScope | Out-Host
    foreach ($each in $Permission) {
        $may = @($tested | Where-Object { $_.RoleName -eq "Application $each" -and "$($_.InScope)" -eq 'True' })
        if ($may.Count -eq 0) { $mistakes += "$each does not reach $address" }
    }
}
if ($OtherMailbox) {
    $reached = @(Test-ServicePrincipalAuthorization -Identity "$ObjectId" -Resource $OtherMailbox |
            Where-Object { "$($_.InScope)" -eq 'True' })
    foreach ($each in $reached) { $mistakes += "$($each.RoleName) reaches $OtherMailbox by scope $($each.AllowedResourceScope)" }
}
if ($mistakes.Count -gt 0 -and -not $WhatIfPreference) { throw ($mistakes -join '; ') }
