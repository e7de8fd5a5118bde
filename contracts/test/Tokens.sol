// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Bridge} from "../src/Bridge.sol";
import {Inbox} from "../src/Inbox.sol";

/// A plain ERC-20.
contract Token {
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender] = amount;
        return true;
    }

    function transfer(address to, uint256 amount) external virtual returns (bool) {
        move(msg.sender, to, amount);
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) external virtual returns (bool) {
        allowance[from][msg.sender] -= amount;
        move(from, to, amount);
        return true;
    }

    function move(address from, address to, uint256 amount) internal virtual {
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
    }
}

/// Keeps a tenth of every transfer.
contract TaxedToken is Token {
    function move(address from, address to, uint256 amount) internal override {
        balanceOf[from] -= amount;
        balanceOf[to] += amount - amount / 10; // rounds the tax down
    }
}

/// Answers nothing, as some old tokens do.
contract SilentToken {
    mapping(address => uint256) public balanceOf;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function transfer(address to, uint256 amount) external {
        balanceOf[msg.sender] -= amount;
        balanceOf[to] += amount;
    }

    function transferFrom(address from, address to, uint256 amount) external {
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
    }
}

/// Answers false where it should revert, and moves nothing.
contract LyingToken is Token {
    function transfer(address, uint256) external pure override returns (bool) {
        return false;
    }

    function transferFrom(address, address, uint256) external pure override returns (bool) {
        return false;
    }
}

/// Calls back into the bridge and the inbox from within its own transfers.
contract ReenteringToken is Token {
    Bridge private bridge;
    Inbox private inbox;
    bytes private attack;
    /// Whether the last attack got through.
    bool public succeeded;
    /// What it was answered.
    bytes public answer;

    function arm(Bridge bridge_, bytes calldata attack_) external {
        bridge = bridge_;
        attack = attack_;
    }

    function move(address from, address to, uint256 amount) internal override {
        super.move(from, to, amount);
        if (attack.length != 0) (succeeded, answer) = address(bridge).call(attack);
    }
}

/// Refuses ETH until told otherwise.
contract Moody {
    bool public isOpen;

    function open() external {
        isOpen = true;
    }

    receive() external payable {
        require(isOpen, "closed");
    }
}

/// Claims again whenever it is paid.
contract Greedy {
    Bridge private immutable bridge;
    bytes private attack;
    bool public succeeded;

    constructor(Bridge bridge_) {
        bridge = bridge_;
    }

    function arm(bytes calldata attack_) external {
        attack = attack_;
    }

    receive() external payable {
        (succeeded,) = address(bridge).call(attack);
    }
}
