/*
 * Says what Windows programs make of command lines: an argv printer, and the one that starts it.
 *
 * For each line of standard input, hexadecimal UTF-16 of a command line, it says in lines of the same kind, arguments
 * separated by spaces: what CommandLineToArgvW makes of it, what a child that is started with it got from msvcrt, and
 * what that child got from ucrtbase. Then the child's exit code, in decimal.
 */
#include <windows.h>
#include <ctype.h>
#include <shellapi.h>
#include <stdio.h>
#include <stdlib.h>
#include <wchar.h>

/* mingw-w64 can be built to expand wildcards as its programs start; programs of Microsoft's compiler don't. */
int _dowildcard = 0;

static void print_arguments(int count, wchar_t **arguments)
{
    for (int i = 0; i < count; i++) {
        putchar('=');
        for (const wchar_t *at = arguments[i]; *at; at++)
            printf("%04x", *at);
        putchar(i + 1 < count ? ' ' : '\n');
    }
    fflush(stdout);
}

static int read_hex(const char *hex, wchar_t *units)
{
    int length = 0;
    for (; isxdigit((unsigned char)*hex); hex += 4) {
        char unit[5] = {hex[0], hex[1], hex[2], hex[3], 0};
        units[length++] = (wchar_t)strtoul(unit, NULL, 16);
    }
    return length;
}

static int print_own(int count, wchar_t **arguments)
{
    HMODULE ucrt = LoadLibraryA("ucrtbase.dll");
    int (*configure)(int) = (void *)GetProcAddress(ucrt, "_configure_wide_argv");
    int *(*argc)(void) = (void *)GetProcAddress(ucrt, "__p___argc");
    wchar_t ***(*argv)(void) = (void *)GetProcAddress(ucrt, "__p___wargv");
    print_arguments(count, arguments);
    configure(1); /* _crt_argv_unexpanded_arguments */
    print_arguments(*argc(), *argv());
    return 70000;
}

static DWORD start(wchar_t *line)
{
    STARTUPINFOW startup = {.cb = sizeof startup, .dwFlags = STARTF_USESTDHANDLES};
    PROCESS_INFORMATION child;
    wchar_t own[MAX_PATH];
    DWORD code;
    startup.hStdOutput = GetStdHandle(STD_OUTPUT_HANDLE);
    startup.hStdError = GetStdHandle(STD_ERROR_HANDLE);
    GetModuleFileNameW(NULL, own, MAX_PATH);
    if (!CreateProcessW(own, line, NULL, NULL, TRUE, 0, NULL, NULL, &startup, &child))
        return GetLastError();
    WaitForSingleObject(child.hProcess, INFINITE);
    GetExitCodeProcess(child.hProcess, &code);
    CloseHandle(child.hProcess);
    CloseHandle(child.hThread);
    return code;
}

int wmain(int argc, wchar_t **argv)
{
    static char hex[4 * 32768];
    static wchar_t line[32768];
    if (GetEnvironmentVariableW(L"TIDEGATE_ARGV", NULL, 0))
        return print_own(argc, argv);
    SetEnvironmentVariableW(L"TIDEGATE_ARGV", L"print");
    while (fgets(hex, sizeof hex, stdin)) {
        int count;
        line[read_hex(hex, line)] = 0;
        wchar_t **arguments = CommandLineToArgvW(line, &count);
        print_arguments(count, arguments);
        LocalFree(arguments);
        printf("%lu\n", start(line));
        fflush(stdout);
    }
    return 0;
}
