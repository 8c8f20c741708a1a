# An Exchange Online for tests, of as much as the scripts use. Parameters have the names that Microsoft's pages of the
# cmdlets give; any other is refused. State is kept in the file EXCHANGE_STATE, and every change is written down in it.

function Get-State { Get-Content -Raw $env:EXCHANGE_STATE | ConvertFrom-Json -AsHashtable }
function Save-State($State, [string] $Change) {
    $State.changes += $Change
    $State | ConvertTo-Json -Depth 6 | Set-Content $env:EXCHANGE_STATE
}
function Out-Objects($Rows) { foreach ($row in @($Rows)) { if ($row) { [pscustomobject] $row } } }

function Get-ServicePrincipal { [CmdletBinding()] param([string] $Identity) Out-Objects (Get-State).principals }
function New-ServicePrincipal {
    [CmdletBinding()] param([Parameter(Mandatory)] [string] $AppId, [Parameter(Mandatory)] [string] $ObjectId, [string] $DisplayName)
    $state = Get-State
    $new = @{ AppId = $AppId; ObjectId = $ObjectId; DisplayName = $DisplayName; Name = $ObjectId; Identity = $ObjectId; Sid = 'S-1-5-21-1' }
    $state.principals += $new
    Save-State $state "New-ServicePrincipal $ObjectId"
    [pscustomobject] $new
}

function Get-Group {
    [CmdletBinding()] param([string] $Identity)
    [pscustomobject] @{ Name = $Identity; DistinguishedName = "CN=$Identity,OU=example" }
}
function Get-ManagementScope { [CmdletBinding()] param([string] $Identity) Out-Objects (Get-State).scopes }
function New-ManagementScope {
    [CmdletBinding()] param([Parameter(Mandatory)] [string] $Name, [Parameter(Mandatory)] [string] $RecipientRestrictionFilter)
    $state = Get-State
    $new = @{ Name = $Name; RecipientFilter = "(($RecipientRestrictionFilter))" }
    $state.scopes += $new
    Save-State $state "New-ManagementScope $Name"
    [pscustomobject] $new
}
function Set-ManagementScope {
    [CmdletBinding()] param([Parameter(Mandatory)] [string] $Identity, [string] $RecipientRestrictionFilter)
    $state = Get-State
    ($state.scopes | Where-Object { $_.Name -eq $Identity }).RecipientFilter = $RecipientRestrictionFilter
    Save-State $state "Set-ManagementScope $Identity"
}
function Get-ManagementRoleAssignment {
    [CmdletBinding()] param([string] $Role)
    Out-Objects ((Get-State).assignments | Where-Object { $_.Role -eq $Role })
}
function New-ManagementRoleAssignment {
    [CmdletBinding()] param([string] $Name, [Parameter(Mandatory)] [string] $Role, [Parameter(Mandatory)] [string] $App, [string] $CustomResourceScope)
    if ($Name.Length -gt 64) { throw 'The name is too long.' }
    $state = Get-State
    if (-not ($state.principals | Where-Object { $_.ObjectId -eq $App })) { throw "There is no service principal $App." }
    $new = @{ Name = $Name; Role = $Role; App = $App; CustomResourceScope = $CustomResourceScope }
    $state.assignments += $new
    Save-State $state "New-ManagementRoleAssignment $Role $CustomResourceScope"
    [pscustomobject] $new
}
function Test-ServicePrincipalAuthorization {
    [CmdletBinding()] param([Parameter(Mandatory)] [string] $Identity, [string] $Resource)
    $state = Get-State
    foreach ($each in @($state.assignments | Where-Object { $_.App -eq $Identity })) {
        $scope = $state.scopes | Where-Object { $_.Name -eq $each.CustomResourceScope }
        [pscustomobject] @{
            RoleName             = $each.Role
            AllowedResourceScope = $(if ($scope) { $scope.Name } else { 'Organization' })
            ScopeType            = $(if ($scope) { 'CustomRecipientScope' } else { 'Organization' })
            InScope              = "$(-not $scope -or $scope.RecipientFilter -match [regex]::Escape("'$Resource'"))"
        }
    }
}

function Get-MailboxPermission {
    [CmdletBinding()] param([Parameter(Mandatory)] [string] $Identity)
    Out-Objects ((Get-State).permissions | Where-Object { $_.Identity -eq $Identity })
}
function Add-MailboxPermission {
    [CmdletBinding()] param([Parameter(Mandatory)] [string] $Identity, [Parameter(Mandatory)] [string] $User, [Parameter(Mandatory)] [string[]] $AccessRights)
    $state = Get-State
    $state.permissions += @{ Identity = $Identity; User = $User; AccessRights = $AccessRights; Deny = $false }
    Save-State $state "Add-MailboxPermission $Identity $AccessRights"
}
function Get-CASMailbox {
    [CmdletBinding()] param([Parameter(Mandatory)] [string] $Identity)
    [pscustomobject] (Get-State).client
}
function Set-CASMailbox {
    [CmdletBinding()] param([Parameter(Mandatory)] [string] $Identity, [bool] $ImapEnabled, [bool] $PopEnabled, [object] $SmtpClientAuthenticationDisabled)
    $state = Get-State
    foreach ($name in $PSBoundParameters.Keys | Where-Object { $_ -ne 'Identity' }) { $state.client[$name] = $PSBoundParameters[$name] }
    Save-State $state "Set-CASMailbox $Identity $(($PSBoundParameters.Keys | Where-Object { $_ -ne 'Identity' } | Sort-Object) -join ' ')"
}
function Get-TransportConfig { [CmdletBinding()] param() [pscustomobject] @{ SmtpClientAuthenticationDisabled = $true } }

Export-ModuleMember -Function *-ServicePrincipal, *-ServicePrincipalAuthorization, *-ManagementScope, *-ManagementRoleAssignment, *-MailboxPermission, *-CASMailbox, Get-TransportConfig, Get-Group
