# Runs each line of its input, a script in base64, as a session of its own, and then says "ended 0" or "ended 1".
while ($null -ne ($line = [Console]::In.ReadLine())) {
    $text = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($line))
    $runspace = [runspacefactory]::CreateRunspace($Host)
    $runspace.Open()
    $shell = [powershell]::Create()
    $shell.Runspace = $runspace
    $code = 0
    try {
        $shell.AddScript($text).Invoke() | Out-String -Stream | ForEach-Object { [Console]::Out.WriteLine($_) }
        if ($shell.HadErrors) { $code = 1 }
        foreach ($problem in $shell.Streams.Error) { [Console]::Out.WriteLine($problem.ToString()) }
    }
    catch {
        $code = 1
        [Console]::Out.WriteLine($_.Exception.Message)
    }
    finally {
        $shell.Dispose()
        $runspace.Dispose()
    }
    [Console]::Out.WriteLine("ended $code")
}
