/*
  First set of file rules for mining programs.
  licence: Apache-2.0
  source: Minesweep, written from xmrig @ b2ca724, cpuminer and ethminer sources and from public reports
  Each rule asks for the form of a program, script or configuration and for several independent strings, so that
  documents, rule packs and security tools that quote a miner do not match.
*/

rule miner_xmrig
{
    meta:
        id = "mining.miner-file.xmrig"
        title = "Program of the xmrig family"
        zh = "xmrig 系列挖矿程序"
        licence = "Apache-2.0"
    strings:
        // What RandomX itself needs: its salt, with the byte that closes it, and its data set.
        $salt = "RandomX\x03"
        $rx1 = "randomx_boost" ascii
        $rx2 = "RandomX dataset is not ready" ascii nocase
        $rx3 = "dataset ready" ascii
        $rx4 = "init dataset" ascii
        // What it says to a pool.
        $say1 = "\"method\":\"keepalived\"" ascii
        $say2 = "keepalived" ascii fullword
        $say3 = "mining.extranonce.subscribe" ascii
        $say4 = "job_id" ascii fullword
        $say5 = "seed_hash" ascii fullword
        // What it gives its author.
        $fee1 = "donate-level" ascii
        $fee2 = "donate.v2.xmrig.com" ascii
        $fee3 = "donate.ssl.xmrig.com" ascii
        // What it can be told.
        $key1 = "huge-pages-jit" ascii
        $key2 = "pause-on-battery" ascii
        $key3 = "max-threads-hint" ascii
        $key4 = "scratchpad_prefetch_mode" ascii
        $key5 = "cn-heavy/xhv" ascii
        $key6 = "astrobwt" ascii
    condition:
        uint32(0) == 0x464c457f and filesize < 64MB
        and ($salt or 2 of ($rx*)) and 2 of ($say*) and any of ($fee*) and 2 of ($key*)
}

rule miner_stratum_program
{
    meta:
        id = "mining.miner-file.stratum-program"
        title = "Program with mining verbs, results and algorithms"
        zh = "带有挖矿命令、结果和算法的程序"
        licence = "Apache-2.0"
    strings:
        $verb1 = "mining.subscribe" ascii
        $verb2 = "mining.authorize" ascii
        $verb3 = "mining.submit" ascii
        $verb4 = "eth_submitLogin" ascii
        $verb5 = "eth_submitWork" ascii
        // Only who mines prints its own speed.
        $speed1 = /[%a-z0-9.]{1,8} ?[kKMG]?[hH](ash(es)?)?\/s(ec)?\b/ ascii
        $speed2 = "hashrate" ascii nocase
        // And counts what the pool took.
        $share1 = "accepted" ascii nocase fullword
        $share2 = "stale share" ascii nocase
        $share3 = "share above target" ascii nocase
        $share4 = "difficulty" ascii nocase
        $algo1 = "scrypt" ascii fullword
        $algo2 = "kawpow" ascii nocase fullword
        $algo3 = "ethash" ascii nocase fullword
        $algo4 = "yespower" ascii fullword
        $algo5 = "x16r" ascii fullword
        $algo6 = "lyra2" ascii
        $algo7 = "cryptonight" ascii nocase
        $algo8 = "randomx" ascii nocase
        $algo9 = "verushash" ascii nocase
        $algo10 = "neoscrypt" ascii
        // Programs that watch for miners have these too, and say so.
        $watch1 = "suricata" ascii nocase
        $watch2 = "sigma" ascii nocase fullword
        $watch3 = "ATT&CK" ascii
        $watch4 = "T1496" ascii
    condition:
        uint32(0) == 0x464c457f and filesize < 64MB
        and 2 of ($verb*) and any of ($speed*) and 2 of ($share*) and 2 of ($algo*)
        and not 2 of ($watch*)
}

rule miner_cpuminer
{
    meta:
        id = "mining.miner-file.cpuminer"
        title = "Program of the cpuminer family"
        zh = "cpuminer 系列挖矿程序"
        licence = "Apache-2.0"
    strings:
        $help1 = "--coinbase-addr" ascii
        $help2 = "--no-getwork" ascii
        $help3 = "--no-stratum" ascii
        $help4 = "--no-longpoll" ascii
        $help5 = "--retry-pause" ascii
        $run1 = "stratum_recv_line failed" ascii
        $run2 = "Stratum connection interrupted" ascii
        $run3 = "miner threads started, using '%s' algorithm" ascii
        $run4 = "submit_upstream_work" ascii
        $run5 = "CPU #%d: " ascii
    condition:
        uint32(0) == 0x464c457f and filesize < 64MB and 2 of ($help*) and 2 of ($run*)
}

rule miner_ethminer
{
    meta:
        id = "mining.miner-file.ethminer"
        title = "Program of the ethminer family"
        zh = "ethminer 系列挖矿程序"
        licence = "Apache-2.0"
    strings:
        $url1 = "stratum1+tcp" ascii
        $url2 = "stratum2+ssl" ascii
        $url3 = "stratum+tls12" ascii
        $say1 = "eth_submitHashrate" ascii
        $say2 = "EthereumStratum/" ascii
        $say3 = "mining.extranonce.subscribe" ascii
        $run1 = "Generating DAG" ascii nocase
        $run2 = "ethash_search" ascii
        $run3 = "--cuda-" ascii
        $run4 = "--opencl-device" ascii
        $run5 = "--farm-recheck" ascii
    condition:
        uint32(0) == 0x464c457f and filesize < 64MB and 1 of ($url*) and 1 of ($say*) and 2 of ($run*)
}

rule miner_config
{
    meta:
        id = "mining.miner-file.config"
        title = "Configuration of a miner"
        zh = "挖矿程序配置"
        licence = "Apache-2.0"
    strings:
        $open = /^[ \t\r\n]*\{/ ascii
        $key1 = /"donate-level"\s{0,8}:/ ascii
        $key2 = /"donate-over-proxy"\s{0,8}:/ ascii
        $key3 = /"rig-id"\s{0,8}:/ ascii
        $key4 = /"tls-fingerprint"\s{0,8}:/ ascii
        $key5 = /"self-select"\s{0,8}:/ ascii
        $key6 = /"submit-to-origin"\s{0,8}:/ ascii
        $key7 = /"nicehash"\s{0,8}:/ ascii
        $key8 = /"randomx"\s{0,8}:\s{0,8}\{/ ascii
        $key9 = /"1gb-pages"\s{0,8}:/ ascii
        $key10 = /"wrmsr"\s{0,8}:/ ascii
        $key11 = /"rdmsr"\s{0,8}:/ ascii
        $key12 = /"scratchpad_prefetch_mode"\s{0,8}:/ ascii
        $key13 = /"huge-pages-jit"\s{0,8}:/ ascii
        $key14 = /"max-threads-hint"\s{0,8}:/ ascii
        $key15 = /"pause-on-battery"\s{0,8}:/ ascii
        $key16 = /"cn\/0"\s{0,8}:/ ascii
        $key17 = /"cn-lite\/0"\s{0,8}:/ ascii
        $list1 = "\"$schema\"" ascii
    condition:
        filesize < 1MB and $open at 0 and 4 of ($key*) and not $list1
}

rule miner_dropper
{
    meta:
        id = "mining.miner-file.dropper"
        title = "Script that fetches and configures a miner"
        zh = "下载并配置挖矿程序的脚本"
        licence = "Apache-2.0"
    strings:
        $fetch1 = /\b(curl|wget|cd1|wd1|lwp-download)\b[^\n]{1,200}https?:\/\// ascii
        $fetch2 = "/dev/tcp/" ascii
        $pool1 = /stratum\+(tcp|ssl|tls):\/\// ascii
        $pool2 = /(-o|--url)[ =]["']?[a-z0-9.$\{\}_-]{3,100}:[0-9]{2,5}/ ascii nocase
        $pool3 = /"(url|pool)"\s{0,4}:\s{0,4}"/ ascii
        $set1 = "donate-level" ascii
        $set2 = /\b[48][1-9A-HJ-NP-Za-km-z]{94}\b/ ascii
        $set3 = "xmrig" ascii nocase
        $set4 = "--coin" ascii
        $set5 = "nr_hugepages" ascii
        $set6 = "msr allow_writes=on" ascii
        $stay1 = "crontab" ascii
        $stay2 = "systemctl" ascii
        $stay3 = "nohup" ascii
        $stay4 = "chattr" ascii
        $stay5 = "setenforce 0" ascii
        $stay6 = "ld.so.preload" ascii
        $rival1 = /\b(pkill|killall)\s+(-9\s+)?(-f\s+)?["']?(xmrig|kinsing|kdevtmpfsi|minerd)/ ascii
    condition:
        uint16(0) == 0x2123 and filesize < 256KB
        and any of ($fetch*) and any of ($pool*) and 2 of ($set*) and any of ($stay*, $rival*)
}
